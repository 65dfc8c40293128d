import { readFileSync } from "node:fs";
import { buildCheckpoint } from "../capture/build.ts";
import { gatherObjects } from "../capture/gather.ts";
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
import { planRestore } from "../plan/restore.ts";
import { commitGeneration } from "../store/commit.ts";
import { parseRecipients, type Recipient } from "../store/recipients.ts";
import { describeSkips, describeWarnings } from "./describe-plan.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
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
  const { checkpoint, plan } = planCapture(input, session);
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

/** Pure. The document to seal, and the plan that proves which pods it can bring back. */
function planCapture(
  input: ChosenPods,
  { config }: Session,
): { readonly checkpoint: Checkpoint; readonly plan: RestorePlan } {
  const { node, objects, selected, ignored } = input;
  if (selected.length === 0) {
    throw new Failure("E_NOT_SELECTED", {
      what: `no pod of node ${node} is selected`,
      found: `${count(ignored.length, "pod")} read, each left out for a reason (-v tells)`,
      next: 'Annotate pods with blackstart.dev/checkpoint: "true", or use --select all',
    });
  }
  const needed = gatherObjects(selected, objects, node);
  const now = new Date();
  const whole = { node, capturedAt: now, selected, objects: needed, unprojectable: [] };
  const options = {
    generation: undefined,
    secretEnv: config.secretEnv,
    kubeletVersion: undefined,
    now,
  };
  const plan = planRestore(buildCheckpoint(whole), options);
  if (plan.pods.length === 0) {
    throw new Failure("E_SUSPICIOUS_EMPTY", {
      what: "none of the selected pods can be projected, so no generation is made",
      found: plan.skipped
        .map(({ namespace, name, code }) => `${namespace}/${name} ${code}`)
        .join(", "),
      next: "`blackstart render` tells the reasons",
    });
  }
  const projectable = new Set(plan.pods.map(({ namespace, name }) => `${namespace}/${name}`));
  const kept = selected.filter(({ metadata }) =>
    projectable.has(`${metadata.namespace ?? "default"}/${metadata.name}`),
  );
  const checkpoint = buildCheckpoint({
    node,
    capturedAt: now,
    selected: kept,
    objects: gatherObjects(kept, objects, node), // no secret of a pod that is not restored
    unprojectable: plan.skipped,
  });
  return { checkpoint, plan };
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
