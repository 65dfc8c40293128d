import { Exit, type ExitStatus, Failure } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { judgeClock } from "../model/clock.ts";
import type { KubernetesObject, Pod, Secret } from "../model/kubernetes.ts";
import type { PodPlan, VolumeEntry } from "../model/plan.ts";
import { planRestore } from "../plan/restore.ts";
import { openGeneration, openNewest } from "../store/store.ts";
import { describeSkips, describeWarnings } from "./describe-plan.ts";
import { parsed, readNodeKey } from "./open-checkpoint.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { openSession, type Session } from "./session.ts";
import { table } from "./table.ts";

export interface ShowOptions extends GlobalOptions {
  readonly output: OutputFormat;
  /** `namespace/name`, or `name` where only one pod has it. */
  readonly pod: string;
  readonly generation: number | undefined;
  readonly reveal: boolean;
}

/** What stands for each Secret's value and each token: plain text, so that the plan is otherwise the same. */
const hidden = "(hidden, --reveal shows it)";

/**
 * Shows a checkpointed pod, its volumes' trees, and the manifest that a restore would write.
 *
 * The plan is made from a checkpoint without its secret values, so that none can reach the output.
 *
 * @throws {Failure} E_NO_POD only when the generation holds no such pod, or several; what opening throws
 */
export async function show(options: ShowOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  const { checkpoint, generation } = open(session, options.generation);
  const { namespace, name } = findPod(checkpoint, options.pod, generation);
  const isThis = (one: { readonly namespace: string; readonly name: string }) =>
    one.namespace === namespace && one.name === name;
  const visible = options.reveal ? checkpoint : hideSecrets(checkpoint);
  const clock = judgeClock(new Date(), checkpoint.metadata.capturedAt, generation);
  const plan = planRestore(visible, {
    generation,
    secretEnv: session.config.secretEnv,
    kubeletVersion: undefined,
    now: clock.now,
  });
  const planned = plan.pods.find(isThis);
  const skipped = [...checkpoint.unprojectable, ...plan.skipped].filter(isThis);
  const warnings = plan.warnings.filter((one) => one.namespace === namespace && one.name === name);
  const parent = checkpoint.items.find(
    (item): item is Pod =>
      item.kind === "Pod" &&
      item.metadata.name === name &&
      (item.metadata.namespace ?? "default") === namespace,
  );
  const data = {
    generation,
    capturedAt: checkpoint.metadata.capturedAt,
    pod: parent ?? null,
    manifest: planned === undefined ? null : JSON.parse(planned.manifest.text),
    volumes:
      planned?.volumes.map(({ name: volume, dir, entries }) => ({
        name: volume,
        dir,
        entries: entries.map(describeEntry),
      })) ?? [],
    images: planned?.images ?? [],
    skipped,
    warnings,
  };
  await output(options.output, data, () => {
    const head = `${namespace}/${name} of generation ${generation}, taken ${clock.age} on ${checkpoint.metadata.node}\n`;
    return (
      head +
      describeSkips(skipped) +
      describeWarnings(warnings) +
      (planned === undefined ? "" : describePod(planned, parent))
    );
  });
  return Exit.ok;
}

function open(
  session: Session,
  wanted: number | undefined,
): { readonly checkpoint: Checkpoint; readonly generation: number } {
  const { ring } = readNodeKey(session);
  if (wanted !== undefined) {
    return {
      ...parsed(openGeneration(session.storeDir, wanted, ring, undefined)),
      generation: wanted,
    };
  }
  const reading = openNewest(session.storeDir, ring, undefined);
  if (reading.kind !== "opened") {
    throw reading.failure;
  }
  const { generation } = reading.opened;
  return { ...parsed(reading.opened), generation };
}

function findPod(checkpoint: Checkpoint, wanted: string, generation: number) {
  const all = [...checkpoint.pods, ...checkpoint.unprojectable];
  const found = all.filter(
    ({ namespace, name }) => wanted === name || wanted === `${namespace}/${name}`,
  );
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new Failure("E_NO_POD", {
      what:
        only === undefined
          ? `generation ${generation} holds no pod ${JSON.stringify(wanted).slice(0, 120)}`
          : `several pods are called ${wanted}`,
      found: (only === undefined ? all : found)
        .map(({ namespace, name }) => `${namespace}/${name}`)
        .join(", "),
      next: "Name one of them as NAMESPACE/NAME",
    });
  }
  return only;
}

function hideSecrets(checkpoint: Checkpoint): Checkpoint {
  const encoded = Buffer.from(hidden).toString("base64");
  const hide = (item: KubernetesObject): KubernetesObject => {
    if (item.kind !== "Secret") {
      return item;
    }
    const { data } = item as Secret;
    return {
      ...item,
      data: Object.fromEntries(Object.keys(data ?? {}).map((key) => [key, encoded])),
    };
  };
  return {
    ...checkpoint,
    tokens: checkpoint.tokens.map((token) => ({ ...token, token: hidden })),
    items: checkpoint.items.map(hide),
  };
}

function describeEntry(entry: VolumeEntry) {
  const { path, uid, gid } = entry;
  return entry.kind === "link"
    ? { path, kind: entry.kind, target: entry.target, uid, gid }
    : { path, kind: entry.kind, mode: entry.mode.toString(8).padStart(4, "0"), uid, gid };
}

function describePod({ volumes, manifest }: PodPlan, parent: Pod | undefined): string {
  const trees = volumes.map(({ dir, entries }) => {
    const rows = entries
      .map(describeEntry)
      .map((entry) => [
        "mode" in entry ? entry.mode : "link",
        `${entry.uid}:${entry.gid}`,
        "target" in entry ? `${entry.path} -> ${entry.target}` : entry.path,
      ]);
    return `${dir}\n${table(rows)}`;
  });
  const status =
    parent?.spec["nodeName"] === undefined
      ? ""
      : `parent      uid ${parent.metadata.uid ?? "unknown"} on ${String(parent.spec["nodeName"])}\n`;
  return `${status}${trees.join("")}${manifest.file}\n${manifest.text}`;
}
