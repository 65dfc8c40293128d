import { Exit, type ExitStatus, Failure } from "../errors.ts";
import { log, logWarning } from "../host/log.ts";
import { systemClock } from "../kube/clock.ts";
import { type CaptureSettings, openCapture } from "./capture-setup.ts";
import { Watch } from "./watch.ts";

/**
 * Captures for as long as the process runs. SIGTERM and SIGINT end it between two commits, SIGHUP reads the
 * configuration and the kubeconfig anew.
 *
 * Whatever the apiserver does is no reason to end: it is said, and asked again.
 *
 * @throws {Failure} E_CONFIG, E_NO_KEY, E_KEY_…, E_RECIPIENT only at the start; E_NODE only when the store is another
 *   node's
 */
export async function captureWatch(settings: CaptureSettings): Promise<ExitStatus> {
  const stop = new AbortController();
  let round = new AbortController();
  const end = () => {
    stop.abort();
    round.abort();
  };
  // main.ts says what it was. A process that goes on without one of its parts would only look alive.
  let status: ExitStatus = Exit.ok;
  process.once("uncaughtException", () => {
    status = Exit.software;
    end();
  });
  process.once("SIGTERM", end);
  process.once("SIGINT", end);
  process.on("SIGHUP", () => round.abort());
  let setup = await openCapture(settings);
  setup.key.warnings.forEach(logWarning);
  while (!stop.signal.aborted) {
    round = new AbortController();
    await new Watch(setup, systemClock, round.signal).run();
    if (!stop.signal.aborted) {
      try {
        setup = await openCapture(settings);
        log("capture: configuration read anew");
      } catch (error) {
        if (!(error instanceof Failure)) {
          throw error;
        }
        log(`${error.code}: ${error.message}; the configuration stays as it was`, "warning");
      }
    }
  }
  log("capture: stopped");
  return status;
}
