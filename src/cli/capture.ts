import { readFileSync } from "node:fs";
import type { Selection } from "../config.ts";
import { under } from "../config.ts";
import { Exit, type ExitStatus, Failure } from "../errors.ts";
import { readKey } from "../host/credential.ts";
import { acquireLock } from "../host/lock.ts";
import { log, logWarning } from "../host/log.ts";
import { failureOf, hasErrno } from "../host/system-error.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { encodeJson } from "../model/json.ts";
import type { RestorePlan, Warning } from "../model/plan.ts";
import { commitGeneration } from "../store/commit.ts";
import { parseRecipients, type Recipient } from "../store/recipients.ts";
import { describeSkips, describeWarnings } from "./describe-plan.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { type CapturePlan, planCapture } from "./plan-capture.ts";
import { type ChosenPods, readInput } from "./read-input.ts";
import { openSession, type Session } from "./session.ts";
import { count, size, table } from "./table.ts";

export interface CaptureOptions extends GlobalOptions {
  readonly output: OutputFormat;
  readonly from: readonly string[];
  readonly node: string | undefined;
  readonly select: "annotated" | "all" | undefined;
}

/**
 * Captures from objects on disk: choose, gather, plan, seal, commit. One generation or none.
 *
 * The commit point is `commitGeneration`; whatever fails before it leaves the store as it was.
 *
 * @throws {Failure} E_REF_MISSING only when a chosen pod refers to what is not among the objects, E_NOT_SELECTED,
 *   E_SUSPICIOUS_EMPTY only when the generation would hold no pod; and what reading and committing throw
 */
export async function capture(options: CaptureOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  const { config } = session;
  const selection: Selection =
    options.select === undefined ? config.select : { kind: options.select };
  // First: without a key there is no point in reading anything.
  const key = readKey({ root: session.root, credentialsDir: process.env["CREDENTIALS_DIRECTORY"] });
  const recipients = config.recipients.flatMap((file) => readRecipients(session, file));
  const input = await readInput({ ...options, selection });
  if ("kind" in input) {
    throw new Failure("E_OBJECT", {
      what: "this is a checkpoint already",
      where: options.from.join(", "),
      next: "Use `blackstart restore --from FILE`, or pass the cluster's objects",
    });
  }
  const { checkpoint, plan } = planFiles(input, session);
  using lock = acquireLock(session.runDir);
  const committed = await commitGeneration(
    session.storeDir,
    {
      plaintext: Buffer.from(encodeJson(checkpoint), "utf8"),
      node: checkpoint.metadata.node,
      capturedAt: checkpoint.metadata.capturedAt,
    },
    key.ring,
    recipients,
    { keep: config.retention.generations },
  );
  const warnings = [...key.warnings, ...lock.warnings, ...plan.warnings, ...committed.warnings];
  if (options.verbose) {
    for (const { namespace, name, code, message } of input.ignored) {
      log(`${code} ${namespace}/${name}: ${message}`);
    }
  }
  if (options.output !== "text") {
    warnings.forEach(logWarning);
  }
  const { generation, file, sizeBytes } = committed;
  const data = {
    generation,
    file,
    sizeBytes,
    node: checkpoint.metadata.node,
    capturedAt: checkpoint.metadata.capturedAt,
    recipients: recipients.length,
    objects: checkpoint.items.length,
    pods: checkpoint.pods,
    unprojectable: checkpoint.unprojectable,
    ignored: input.ignored,
    warnings,
  };
  await output(options.output, data, () => describeCapture(checkpoint, plan, data, warnings));
  return Exit.ok;
}

/** @throws {Failure} E_NOT_SELECTED only when no pod is chosen; what `planCapture` throws */
function planFiles(input: ChosenPods, { config }: Session): CapturePlan {
  const { node, objects, selected, ignored } = input;
  if (selected.length === 0) {
    throw new Failure("E_NOT_SELECTED", {
      what: `no pod of node ${node} is selected`,
      found: `${count(ignored.length, "pod")} read, each left out for a reason (-v tells)`,
      next: 'Annotate pods with blackstart.dev/checkpoint: "true", or use --select all',
    });
  }
  return planCapture({ node, objects, selected, skipped: [], capturedAt: new Date() }, config);
}

function readRecipients(session: Session, file: string): readonly Recipient[] {
  const path = under(session.root, file);
  try {
    return parseRecipients(readFileSync(path, "utf8"), path);
  } catch (error) {
    const what = "a break-glass public key cannot be read";
    if (hasErrno(error, "ENOENT", "ENOTDIR", "EISDIR")) {
      throw new Failure("E_RECIPIENT", {
        what,
        where: path,
        found: hasErrno(error, "EISDIR") ? "it is a directory" : "no such file",
        next: "Correct `recipients` in the configuration, or put the public key there",
      });
    }
    throw failureOf(error, { what, where: path });
  }
}

interface Summary {
  readonly generation: number;
  readonly file: string;
  readonly sizeBytes: number;
  readonly recipients: number;
  readonly ignored: readonly unknown[];
}

function describeCapture(
  checkpoint: Checkpoint,
  plan: RestorePlan,
  { generation, file, sizeBytes, recipients, ignored }: Summary,
  warnings: readonly Warning[],
): string {
  const rows = plan.pods.map(({ namespace, name, volumes, images }) => [
    `${namespace}/${name}`,
    count(volumes.length, "volume"),
    images.join(", "),
  ]);
  const extra = recipients === 0 ? "" : `, and ${count(recipients, "break-glass key")}`;
  return [
    `generation ${generation} of node ${checkpoint.metadata.node}: ${count(plan.pods.length, "pod")}, ${count(checkpoint.items.length, "object")}\n`,
    table(rows),
    describeSkips(checkpoint.unprojectable),
    ignored.length === 0
      ? ""
      : `  ${count(ignored.length, "other pod")} not captured (-v tells why)\n`,
    describeWarnings(warnings),
    `sealed for the node's key${extra}: ${file}, ${size(sizeBytes)}\n`,
  ].join("");
}
