import { setTimeout as sleep } from "node:timers/promises";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { runtimeSocket } from "../host/runtime-socket.ts";
import { runtimeVersion } from "../runtime/cri.ts";
import { openRuntime, type Runtime } from "../runtime/runtime.ts";

const answerMs = 2_000;
const pauseMs = 250;

/**
 * Connects to this node's containerd, and waits until it answers.
 *
 * @param patienceMs  how long it is waited for; 0 asks once
 * @throws {Failure} E_RUNTIME only when no runtime answers in that time, or one that is not containerd
 */
export async function openContainerd(
  root: string,
  patienceMs: number,
  signal: AbortSignal,
): Promise<Runtime> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const found = await runtimeSocket(root);
    let problem = found.kind === "none" ? found.problem : "it does not answer";
    if (found.kind === "socket") {
      const runtime = openRuntime(under(root, found.path), signal);
      try {
        const version = await runtimeVersion(runtime.socket, answerMs);
        if (version?.name === "containerd") {
          return runtime;
        }
        problem =
          version === undefined
            ? problem
            : `it is ${version.name}, and only containerd gives images`;
      } catch (error) {
        runtime[Symbol.dispose]();
        throw error;
      }
      runtime[Symbol.dispose]();
      if (problem.startsWith("it is ")) {
        throw unusable(found.path, problem, "Set `images: {archive: off}`");
      }
    }
    if (performance.now() >= untilMs) {
      const where = found.kind === "socket" ? found.path : undefined;
      throw unusable(where, problem, "See whether it runs (`systemctl status containerd`)");
    }
    await sleep(pauseMs, undefined, { signal });
  }
}

function unusable(where: string | undefined, found: string, next: string): Failure {
  const what = "the container runtime cannot be asked for its images";
  return new Failure("E_RUNTIME", { what, found, next, ...(where === undefined ? {} : { where }) });
}
