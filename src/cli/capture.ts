import { Exit, type ExitStatus, Failure } from "../errors.ts";
import { log, logWarning } from "../host/log.ts";
import { type CaptureSettings, openCapture } from "./capture-setup.ts";
import { captureData, describeCapture } from "./describe-capture.ts";
import type { OutputFormat } from "./options.ts";
import { output } from "./output.ts";

export interface CaptureOptions extends CaptureSettings {
  readonly output: OutputFormat;
  /** Objects on disk; none for a capture from the apiserver. */
  readonly from: readonly string[];
  readonly watch: boolean;
}

/**
 * Captures this node's chosen pods: from the apiserver once, from it for as long as the process runs, or from files.
 *
 * @throws {Failure} E_USAGE only when options contradict each other; what the kind of capture throws
 */
export async function capture(options: CaptureOptions): Promise<ExitStatus> {
  const { from, watch, allowEmpty } = options;
  if (from.length > 0 && (watch || allowEmpty)) {
    throw new Failure("E_USAGE", {
      what: `--from does not go with ${watch ? "--watch" : "--allow-empty"}`,
      where: "--from",
      next: "Leave one of them out: files are read once, and hold at least one pod",
    });
  }
  if (watch && allowEmpty) {
    throw new Failure("E_USAGE", {
      what: "--allow-empty does not go with --watch",
      where: "--allow-empty",
      next: "Run `blackstart capture --allow-empty` once; the watch goes on from there",
    });
  }
  if (watch) {
    (await import("../host/memory.ts")).preferSmall();
    const { captureWatch } = await import("./capture-watch.ts");
    return captureWatch(options);
  }
  const setup = await openCapture(options);
  const report =
    from.length > 0
      ? await (await import("./capture-files.ts")).captureFiles(setup, from)
      : await (await import("./capture-once.ts")).captureOnce(setup);
  if (options.verbose) {
    for (const { namespace, name, code, message } of report.ignored) {
      log(`${code} ${namespace}/${name}: ${message}`);
    }
  }
  if (options.output !== "text") {
    report.warnings.forEach(logWarning);
  }
  await output(options.output, captureData(report), () => describeCapture(report));
  return Exit.ok;
}
