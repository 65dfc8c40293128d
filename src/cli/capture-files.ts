import { Failure } from "../errors.ts";
import { acquireLock } from "../host/lock.ts";
import { encodeJson } from "../model/json.ts";
import { commitGeneration } from "../store/commit.ts";
import type { CaptureSetup } from "./capture-setup.ts";
import type { CaptureReport } from "./describe-capture.ts";
import { planCapture } from "./plan-capture.ts";
import { readInput } from "./read-input.ts";
import { count } from "./table.ts";

/**
 * Captures from objects on disk: choose, gather, plan, seal, commit. One generation or none.
 *
 * The commit point is `commitGeneration`; whatever fails before it leaves the store as it was.
 *
 * @throws {Failure} E_REF_MISSING only when a chosen pod refers to what is not among the objects, E_NOT_SELECTED,
 *   E_SUSPICIOUS_EMPTY only when the generation would hold no pod; and what reading and committing throw
 */
export async function captureFiles(
  { session, selection, key, recipients, node }: CaptureSetup,
  from: readonly string[],
): Promise<CaptureReport> {
  const { config } = session;
  const input = await readInput({ from, node, selection });
  if ("kind" in input) {
    throw new Failure("E_OBJECT", {
      what: "this is a checkpoint already",
      where: from.join(", "),
      next: "Use `blackstart restore --from FILE`, or pass the cluster's objects",
    });
  }
  const { objects, selected, ignored } = input;
  if (selected.length === 0) {
    throw new Failure("E_NOT_SELECTED", {
      what: `no pod of node ${input.node} is selected`,
      found: `${count(ignored.length, "pod")} read, each left out for a reason (-v tells)`,
      next: 'Annotate pods with blackstart.dev/checkpoint: "true", or use --select all',
    });
  }
  const { checkpoint, plan } = planCapture(
    { node: input.node, objects, selected, skipped: [], capturedAt: new Date() },
    config,
  );
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
  return {
    ...committed,
    changed: true,
    blessed: false,
    checkpoint,
    plan,
    ignored,
    recipients: recipients.length,
    warnings: [...key.warnings, ...lock.warnings, ...plan.warnings, ...committed.warnings],
  };
}
