import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PodPlan, RestorePlan, VolumeEntry } from "../../src/model/plan.ts";

const stamp = "..2026_11_22_08_22_18.123456789";

/** Files of one volume: path → text, with what differs from 0644 root:root. */
export interface Sketch {
  readonly files: Readonly<Record<string, string>>;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly top?: number;
  readonly mountPoints?: readonly string[];
  readonly stamp?: string;
  /** Owner of the directories and links. */
  readonly dirUid?: number;
}

/** A volume's entries in the kubelet's layout. */
export function entriesOf(sketch: Sketch): VolumeEntry[] {
  const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0, mode = 0o644 } = sketch;
  const dated = sketch.stamp ?? stamp;
  const own = { uid: sketch.dirUid ?? process.getuid?.() ?? 0, gid };
  const paths = Object.keys(sketch.files).sort();
  const dirs = new Set(
    paths.flatMap((path) =>
      path
        .split("/")
        .slice(0, -1)
        .map((_, index, parts) => parts.slice(0, index + 1).join("/")),
    ),
  );
  return [
    { kind: "directory", path: ".", mode: sketch.top ?? 0o777, ...own },
    ...(sketch.mountPoints ?? []).map(
      (path) => ({ kind: "directory", path, mode: 0o755, ...own }) as const,
    ),
    { kind: "directory", path: dated, mode: 0o755, ...own },
    ...[...dirs].map(
      (path) => ({ kind: "directory", path: `${dated}/${path}`, mode: 0o755, ...own }) as const,
    ),
    ...paths.map(
      (path) =>
        ({
          kind: "file",
          path: `${dated}/${path}`,
          mode,
          uid,
          gid,
          bytes: Buffer.from(sketch.files[path] ?? ""),
        }) as const,
    ),
    { kind: "link", path: "..data", target: dated, ...own },
    ...[...new Set(paths.map((path) => path.split("/", 1)[0] ?? path))].map(
      (path) => ({ kind: "link", path, target: `..data/${path}`, ...own }) as const,
    ),
  ];
}

/** A pod's plan, as src/plan makes it. */
export function podPlan(
  namespace: string,
  name: string,
  volumes: Readonly<Record<string, Sketch>>,
  env = "",
): PodPlan {
  const file = `${namespace}_${name}`;
  const annotations = { "blackstart.dev/checkpoint-of": name };
  return {
    namespace,
    name,
    uid: undefined,
    images: [],
    volumes: Object.entries(volumes).map(([volume, sketch]) => ({
      name: volume,
      dir: `/run/blackstart/pods/${file}/${volume}`,
      entries: entriesOf(sketch),
    })),
    manifest: {
      file: `/run/blackstart/manifests/${file}.json`,
      linkName: `blackstart_${file}.json`,
      text: JSON.stringify({ kind: "Pod", metadata: { name, namespace, annotations }, env }),
      carriesSecret: false,
    },
  };
}

export function planOf(...pods: PodPlan[]): RestorePlan {
  return { node: "cp-1", generation: 1, pods, skipped: [], warnings: [] };
}

/** An empty root with a manifest directory and a run directory. */
export function makeRoot(parent = tmpdir()): Disposable & { readonly root: string } {
  const root = mkdtempSync(join(parent, "blackstart-project-"));
  mkdirSync(join(root, "etc/kubernetes/manifests"), { recursive: true, mode: 0o755 });
  mkdirSync(join(root, "run/blackstart"), { recursive: true, mode: 0o700 });
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

/** True when the directory is on a tmpfs. */
export function isMemory(path: string): boolean {
  try {
    return statfsSync(path).type === 0x01021994;
  } catch {
    return false;
  }
}
