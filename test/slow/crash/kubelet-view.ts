import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, posix } from "node:path";
import { differences, partOf, type Snapshot, snapshotOf } from "./snapshot.ts";

export const manifestDir = "etc/kubernetes/manifests";
export const runDir = "run/blackstart";

/** What a clean run makes of one generation, relative to `run/blackstart`. */
export type Golden = Snapshot;

/** Links of ours in the manifest directory: name → whether it leads anywhere. */
export function ourLinks(root: string): ReadonlyMap<string, boolean> {
  const dir = join(root, manifestDir);
  const links = new Map<string, boolean>();
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    if (!name.startsWith(".") && lstatSync(path).isSymbolicLink()) {
      const target = posix.resolve(dir, readlinkSync(path));
      if (posix.dirname(target) === join(root, runDir, "manifests")) {
        links.set(name, existsSync(path));
      }
    }
  }
  return links;
}

/**
 * Looks at a node as its kubelet would, and says what is not whole.
 *
 * Every link of ours either dangles, as it did before the run, or leads to a manifest that is byte for
 * byte that of a clean run, and every volume that it names is there, whole, old or new.
 *
 * @param dangled  names of links that led nowhere before the run
 */
export function judgeVisiblePods(
  root: string,
  goldens: readonly Golden[],
  dangled: ReadonlySet<string>,
): string[] {
  const now = snapshotOf(join(root, runDir));
  return [...ourLinks(root)].flatMap(([name, leads]) => {
    if (!leads) {
      return dangled.has(name) ? [] : [`${name} dangles`];
    }
    const path = join(root, manifestDir, name);
    const file = posix.basename(readlinkSync(path));
    const line = now.get(`manifests/${file}`);
    if (!goldens.some((golden) => golden.get(`manifests/${file}`) === line)) {
      return [`${name} shows a manifest that no clean run makes`];
    }
    return volumesOf(readFileSync(path, "utf8"), name).flatMap((volume) =>
      judgeVolume(now, volume, goldens),
    );
  });
}

/** Volumes under /run/blackstart that a manifest names, relative to it. */
function volumesOf(text: string, name: string): string[] {
  const pod = JSON.parse(text) as {
    kind?: unknown;
    spec?: { volumes?: readonly { hostPath?: { path?: string } }[] };
  };
  if (pod.kind !== "Pod") {
    throw new Error(`${name} is not a pod`);
  }
  const prefix = `/${runDir}/`;
  return (pod.spec?.volumes ?? []).flatMap(({ hostPath }) =>
    hostPath?.path?.startsWith(prefix) === true ? [hostPath.path.slice(prefix.length)] : [],
  );
}

/**
 * What a container sees of a volume goes through `..data`, so that this decides between old and new;
 * the names beside it follow: those of both are there, and no others than those of either.
 */
function judgeVolume(now: Snapshot, volume: string, goldens: readonly Golden[]): string[] {
  const found = partOf(now, volume);
  const wanted = goldens.map((golden) => partOf(golden, volume)).filter(({ size }) => size > 0);
  if (wanted.length === 0 || found.size === 0) {
    return [`volume ${volume} is missing`];
  }
  const payload = payloadOf(found);
  const isWhole = wanted.some((golden) => differences(payload, payloadOf(golden)).length === 0);
  const names = namesOf(found);
  const lists = wanted.map(namesOf);
  const allowed = new Set(lists.flatMap((list) => [...list]));
  const required = [...allowed].filter((name) => lists.every((list) => list.has(name)));
  return [
    ...(isWhole ? [] : [`volume ${volume} is neither old nor new: ${describe(payload, wanted)}`]),
    ...required.filter((name) => !names.has(name)).map((name) => `${volume}: no ${name}`),
    ...[...names].filter((name) => !allowed.has(name)).map((name) => `${volume}: odd ${name}`),
  ];
}

function describe(payload: Snapshot, wanted: readonly Snapshot[]): string {
  return wanted.map((golden) => differences(payload, payloadOf(golden))[0]).join(" / ");
}

/** The directory behind `..data`, whatever its name. */
function payloadOf(volume: Snapshot): Snapshot {
  const [, dated] = /^link \S+ (\S+)$/.exec(volume.get("..data") ?? "") ?? [];
  return dated === undefined ? new Map() : partOf(volume, dated);
}

/** First-level names with what they are; the directory's own mode is one of them. */
function namesOf(volume: Snapshot): ReadonlySet<string> {
  return new Set(
    [...volume]
      .filter(([path]) => !path.startsWith("..") && !path.includes("/"))
      .map(([path, line]) => `${path} (${line})`),
  );
}
