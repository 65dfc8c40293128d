import { dirname, join } from "node:path";
import type { Daemon } from "../daemon.ts";
import { pushImage } from "../registry/push.ts";
import { prepareRegistry } from "../registry/registry.ts";
import { forwardPorts } from "./forward.ts";
import type { Node } from "./node.ts";
import { eventually } from "./wait.ts";

/** A registry that asks for credentials, on the loopback of a node; what was pushed outlasts a power cut. */
export interface PrivateRegistry extends Disposable {
  /** As references of images begin. */
  readonly name: string;
  /** To be called after each boot in which it shall be there; a power cut ends it. */
  readonly start: () => Promise<Daemon>;
  /** Pushes an image of `writeImageArchive` while it runs. @returns its digest */
  readonly push: (archive: string, repository: string, tag: string) => Promise<string>;
}

const port = 5000;
const startMs = 60_000;

/** Makes it, and leaves it off. containerd speaks plain HTTP with a loopback address. */
export async function makePrivateRegistry(node: Node): Promise<PrivateRegistry> {
  const dir = join(dirname(node.logDir), "registry");
  const argv = prepareRegistry(dir, port);
  const forwarding = await forwardPorts(dir, [port]);
  const url = `http://127.0.0.1:${forwarding.outside(port)}`;
  return {
    name: `127.0.0.1:${port}`,
    start: async () => {
      const daemon = node.machine().startOnNetwork("registry", argv);
      await forwarding.start(node.machine());
      await eventually(
        "the registry answers",
        startMs,
        async () => ((await fetch(`${url}/v2/`)).status === 401 ? true : undefined),
        () => (daemon.isRunning() ? undefined : daemon.lastWords()),
      );
      return daemon;
    },
    push: (archive, repository, tag) => pushImage(url, archive, repository, tag),
    [Symbol.dispose]: () => forwarding.close(),
  };
}
