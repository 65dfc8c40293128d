import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildBinary } from "../binaries.ts";
import type { Daemon } from "../daemon.ts";
import type { RunningContainer } from "./containers.ts";
import { insidePath } from "./machine.ts";
import type { Node } from "./node.ts";
import { eventually } from "./wait.ts";

const keyDir = "/root/second-apiserver";

/**
 * Starts a second API server on the node's port, outside of Kubernetes, beside the one that runs as a pod.
 *
 * It stands for that of another machine of the control plane: while it runs, this node's own can be replaced by one
 * that never starts, and the cluster notices nothing. It has the pod's arguments, keys and etcd; the two share the port
 * (`--permit-port-sharing`).
 */
export async function startSecondApiserver(node: Node): Promise<Daemon> {
  const pod = await eventually("a pod's API server", 30_000, () =>
    node.containers().find(({ container }) => container === "kube-apiserver"),
  );
  const [, ...words] = pod.spec.process.args;
  if (!words.includes("--permit-port-sharing=true")) {
    throw new Error(`the pod's API server shares its port with nobody: ${words.join(" ")}`);
  }
  const copied = copyVolumes(node, pod);
  const ofCopies = words.map((word) =>
    copied.reduce((text, { from, to }) => text.replaceAll(from, to), word),
  );
  const argv = [insidePath(buildBinary("kube-apiserver")), ...ofCopies];
  const daemon = await node.machine().start("second-apiserver", argv);
  const log = join(node.logDir, "second-apiserver.log");
  await eventually(
    "the second API server serves",
    60_000,
    // It listens long before.
    () => (readFileSync(log, "utf8").includes("Serving securely") ? true : undefined),
    () => (daemon.isRunning() ? undefined : daemon.lastWords()),
  );
  return daemon;
}

/** How many sockets of the node listen on a TCP port of IPv4. Source: Linux 6.18 `net/ipv4/tcp_ipv4.c: get_tcp4_sock`. */
export function countListeners(node: Node, tcpPort: number): number {
  const wanted = `:${tcpPort.toString(16).toUpperCase().padStart(4, "0")}`;
  const [, ...lines] = readFileSync(`/proc/${node.machine().pid}/net/tcp`, "utf8").split("\n");
  return lines.filter((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    return local.endsWith(wanted) && state === "0A";
  }).length;
}

interface Copied {
  readonly from: string;
  readonly to: string;
}

/** The pod's own volumes go when the pod goes. */
function copyVolumes(node: Node, { spec }: RunningContainer): readonly Copied[] {
  const mounts = spec.mounts.filter(({ source }) => /\/pods\/[^/]+\/volumes\//.test(source));
  return mounts.map(({ source, destination }, at) => {
    const to = join(keyDir, String(at));
    mkdirSync(join(node.disk, to), { recursive: true, mode: 0o700 });
    for (const name of readdirSync(node.path(source)).filter((one) => !one.startsWith(".."))) {
      const text = readFileSync(join(node.path(source), name));
      writeFileSync(join(node.disk, to, name), text, { mode: 0o600 });
    }
    return { from: destination, to };
  });
}
