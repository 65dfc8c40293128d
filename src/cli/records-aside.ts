import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { paths, under } from "../config.ts";
import { Failure } from "../errors.ts";
import type { KubeletFacts } from "../host/kubelet.ts";
import { acquireLock } from "../host/lock.ts";
import { log } from "../host/log.ts";
import type { Applied } from "../model/outcome.ts";
import type { RestorePlan, Warning } from "../model/plan.ts";
import type { RecordFile } from "../model/pull-record.ts";
import { recordsInTheWay } from "../plan/pull-records.ts";
import { listAside, type RecordDirs, recordDirs } from "../project/pull-records.ts";
import { type Moved, putBack, setAside } from "../project/set-aside.ts";
import type { Session } from "./session.ts";
import { count } from "./table.ts";

/** What became of the kubelet's pull records, or would: names of their files, and of the images. */
export interface RecordChanges {
  readonly putBack: readonly string[];
  readonly setAside: readonly string[];
  /** What the pods name of images whose records are aside. */
  readonly images: readonly string[];
}

/**
 * Puts back what an earlier boot has set aside. What this boot has set aside stays: as long as pods of ours are
 * shown, a kubelet that is started again must not see it.
 *
 * Never throws: a warm boot needs none of it.
 */
export function putEarlierBack(
  session: Session,
  kubelet: KubeletFacts,
  dryRun: boolean,
): { readonly changes: RecordChanges; readonly warnings: readonly Warning[] } {
  const nothing = { putBack: [], setAside: [], images: [] };
  const warnings: Warning[] = [];
  const dirs = dirsOf(session, kubelet);
  const aside = listAside(dirs, warnings);
  if (aside.length === 0 || hasProjected(session.root)) {
    return { changes: nothing, warnings };
  }
  if (dryRun) {
    return { changes: { ...nothing, putBack: filesOf(aside) }, warnings };
  }
  try {
    using _lock = acquireLock(session.runDir);
    const { moved, failures } = putBack(dirs, aside);
    if (moved.length > 0) {
      const records = count(moved.length, "pull record");
      log(`restore 1/5 boot: ${records} put back, set aside by an earlier boot`);
    }
    const changes = { ...nothing, putBack: filesOf(moved) };
    return { changes, warnings: [...warnings, ...failureWarnings(failures)] };
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    const message = `pull records stay set aside: ${error.code}: ${error.message}`;
    return { changes: nothing, warnings: [...warnings, { code: "W_PULL_RECORDS", message }] };
  }
}

/** What was set aside for a plan's pods. */
export interface RecordsAside {
  readonly changes: RecordChanges;
  readonly warnings: readonly Warning[];
  /** By pod, in the plan's order: the records that are in its way. */
  readonly needed: readonly (readonly RecordFile[])[];
  readonly moved: readonly RecordFile[];
  readonly dirs: RecordDirs;
}

/**
 * Takes the records of exactly those images out of the kubelet's sight that the plan's pods could not use otherwise.
 *
 * What fails is a warning for each pod that it concerns. Loads and reads nothing where the kubelet keeps no records.
 *
 * @param version  the kubelet's, as it was when the checkpoint was taken
 */
export async function setRecordsAside(
  session: Session,
  kubelet: KubeletFacts,
  version: string | undefined,
  plan: RestorePlan,
  dryRun: boolean,
): Promise<RecordsAside> {
  const dirs = dirsOf(session, kubelet);
  const nothing = { putBack: [], setAside: [], images: [] };
  if (!existsSync(dirname(dirs.pulled)) && !existsSync(dirs.aside)) {
    return { changes: nothing, warnings: [], needed: [], moved: [], dirs };
  }
  const { judgeImageUse } = await import("./image-use.ts");
  const judged = await judgeImageUse(session, kubelet, version, plan.pods);
  const isSetAside = session.config.images.pullRecords === "set-aside";
  if (!isSetAside) {
    return { changes: nothing, warnings: judged.warnings, needed: [], moved: [], dirs };
  }
  const wanted = recordsInTheWay(judged.pods);
  const { moved, failures } = dryRun ? { moved: wanted, failures: [] } : setAside(dirs, wanted);
  const failed = failures.map(({ record }) => record);
  const left = judged.warningsFor((record) => isAmong(record, failed));
  const needed = judged.pods.map((pod) => recordsInTheWay([pod]));
  const isAside = (records: readonly RecordFile[]) =>
    records.length > 0 && !records.some((one) => isAmong(one, failed));
  const images = new Set(
    judged.pods.flatMap((pod) =>
      pod.images.flatMap(({ image, use }) =>
        use.kind === "records" && isAside(use.records) ? [image.name] : [],
      ),
    ),
  );
  const changes = { ...nothing, setAside: filesOf(moved), images: [...images].sort() };
  if (images.size > 0) {
    sayAside(changes, dryRun, kubelet.running);
  }
  return { changes, warnings: [...left, ...failureWarnings(failures)], needed, moved, dirs };
}

/** Projects, and gives back what was set aside for pods that could not be projected after all. */
export function projectWithRecords(
  { changes, needed, moved, dirs }: RecordsAside,
  project: () => Applied,
): { readonly applied: Applied; readonly changes: RecordChanges } {
  let used: readonly RecordFile[] = [];
  const giveBack = () =>
    putBack(
      dirs,
      moved.filter((record) => !isAmong(record, used)),
    ).moved;
  let applied: Applied;
  try {
    applied = project();
  } catch (error) {
    giveBack();
    throw error;
  }
  used = applied.outcomes.flatMap((outcome, at) =>
    outcome.kind === "failed" && !outcome.kept ? [] : (needed[at] ?? []),
  );
  const back = giveBack();
  const setAside = moved.filter((record) => !isAmong(record, back));
  return { applied, changes: { ...changes, setAside: filesOf(setAside) } };
}

/** Puts all back, whatever boot has set it aside. */
export function putAllBack(
  session: Session,
  kubelet: KubeletFacts,
  dryRun: boolean,
): { readonly putBack: readonly string[]; readonly warnings: readonly Warning[] } {
  const warnings: Warning[] = [];
  const dirs = dirsOf(session, kubelet);
  const aside = listAside(dirs, warnings);
  const { moved, failures } = dryRun ? { moved: aside, failures: [] } : putBack(dirs, aside);
  return { putBack: filesOf(moved), warnings: [...warnings, ...failureWarnings(failures)] };
}

function sayAside(
  { setAside, images }: RecordChanges,
  dryRun: boolean,
  kubeletRuns: boolean,
): void {
  const records = count(setAside.length, "pull record");
  const verb = dryRun ? "would be set aside" : "set aside";
  const already = setAside.length === 0 ? ", all are aside already" : "";
  const late = kubeletRuns
    ? "; the running kubelet has read its records, so that this counts from its next start"
    : "";
  log(`restore 4/5 plan: ${records} ${verb} for ${images.join(", ")}${already}${late}`);
}

function failureWarnings(failures: Moved["failures"]): readonly Warning[] {
  return failures.map(({ failure }) => ({
    code: "W_PULL_RECORDS",
    message: `${failure.code}: ${failure.message}`,
  }));
}

/** True when this boot has projected pods: wherever their links are, their manifests are in this boot's memory. */
function hasProjected(root: string): boolean {
  try {
    return readdirSync(under(root, paths.manifests)).length > 0;
  } catch {
    return false;
  }
}

function dirsOf({ root }: Session, { flags }: KubeletFacts): RecordDirs {
  return recordDirs(root, flags.get("root-dir"));
}

function filesOf(records: readonly RecordFile[]): readonly string[] {
  return records.map(({ list, file }) => `${list}/${file}`);
}

function isAmong({ list, file }: RecordFile, records: readonly RecordFile[]): boolean {
  return records.some((one) => one.list === list && one.file === file);
}
