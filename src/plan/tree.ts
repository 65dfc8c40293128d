import { posix } from "node:path";
import { Failure } from "../errors.ts";
import type { VolumeEntry, VolumePlan } from "../model/plan.ts";
import type { Volume } from "../model/volume-sources.ts";
import { directoryMode, fileMode, fsGroupOf } from "./ownership.ts";
import { planPayload } from "./payload.ts";
import { type PodContext, podName } from "./pod-context.ts";

/**
 * The tree of one secret, configMap, downwardAPI or projected volume, as the kubelet lays it out:
 *
 *     .                       01777 (tmpfs) or 0777 (configMap)
 *     nested/                 mount point of another volume
 *     ..2026_11_22_…/a/key    the files
 *     ..data                  → ..2026_11_22_…
 *     a                       → ..data/a
 *
 * Pure. fsGroup reaches everything: the links are made after it was applied, and the kernel gives what is
 * made in a setgid directory that directory's group.
 * Source: v1.37.2 `volume/util/atomic_writer.go: Write()`, `nested_volumes.go`, `emptydir/empty_dir.go`.
 *
 * @param dir absolute on the node
 * @param capturedAt RFC 3339; it names the timestamped directory, so that the same checkpoint always
 *   gives the same tree
 * @throws {Failure} as `planPayload()`
 */
export function planVolume(
  context: PodContext,
  volume: Volume,
  dir: string,
  capturedAt: string,
): VolumePlan {
  const payload = planPayload(context, volume);
  const fsGroup = fsGroupOf(context.pod);
  const gid = fsGroup ?? 0;
  const stamp = timestampName(capturedAt);
  const rootMode = volume.configMap == null ? 0o1777 : 0o777;
  const entries: VolumeEntry[] = [directory(".", rootMode)];
  function directory(path: string, mode: number): VolumeEntry {
    return { kind: "directory", path, mode: directoryMode(mode, fsGroup), uid: 0, gid };
  }

  const mountPoints = withParents(nestedMountPoints(context, volume.name));
  entries.push(...mountPoints.map((path) => directory(path, 0o755)));
  entries.push(directory(stamp, 0o755));
  const paths = [...payload.keys()].sort();
  const parents = withParents(
    paths.map((path) => posix.dirname(path)).filter((path) => path !== "."),
  );
  entries.push(...parents.map((path) => directory(`${stamp}/${path}`, 0o755)));
  for (const path of paths) {
    const file = payload.get(path);
    if (file !== undefined) {
      const mode = fileMode(file.mode, fsGroup);
      entries.push({
        kind: "file",
        path: `${stamp}/${path}`,
        mode,
        uid: file.user ?? 0,
        gid,
        bytes: file.bytes,
      });
    }
  }
  entries.push({ kind: "link", path: "..data", target: stamp, uid: 0, gid });
  const linked = new Set(mountPoints);
  for (const path of paths) {
    const [first = path] = path.split("/", 1);
    // Where a mount point has taken the name, the kubelet finds it present and makes no link.
    if (!linked.has(first)) {
      linked.add(first);
      const uid = payload.get(path)?.user ?? 0;
      entries.push({ kind: "link", path: first, target: `..data/${first}`, uid, gid });
    }
  }
  return { name: volume.name, dir, entries };
}

/**
 * `..2026_11_22_08_22_18.` and nine digits, as the kubelet names it, from the time of the capture. Content
 * that changes without that time is told apart where the tree is written.
 */
function timestampName(capturedAt: string): string {
  const fraction = /\.(\d+)/.exec(capturedAt)?.[1] ?? "";
  const seconds = capturedAt.slice(0, 19).replaceAll(/[-T:]/g, "_");
  return `..${seconds}.${fraction.padEnd(9, "0").slice(0, 9)}`;
}

function withParents(paths: readonly string[]): readonly string[] {
  const all = new Set<string>();
  for (const path of paths) {
    for (let one = path; one !== "." && one !== "/"; one = posix.dirname(one)) {
      all.add(one);
    }
  }
  return [...all].sort();
}

/**
 * Where other volumes, or the same one again, are mounted beneath this volume.
 *
 * Pure. Source: v1.37.2 `volume/util/nested_volumes.go: getNestedMountpoints()`.
 *
 * @throws {Failure} E_PATH_ITEM only when a mount path leads out of the container
 */
function nestedMountPoints(context: PodContext, volume: string): readonly string[] {
  const { containers, initContainers } = context.pod.spec;
  const nested = new Set<string>();
  for (const container of [...(initContainers ?? []), ...containers]) {
    const mounts = (container.volumeMounts ?? []).map(({ name, mountPath }) => ({
      name,
      path: clean(mountPath),
    }));
    const all = mounts.map(({ path }) => path).sort();
    for (const { path } of mounts.filter(({ name }) => name === volume)) {
      if (path === ".." || path.startsWith("../")) {
        throw new Failure("E_PATH_ITEM", {
          what: `${podName(context)} mounts a volume outside of its container`,
          where: `container ${container.name}, volume ${volume}`,
          next: "Correct the mount path",
        });
      }
      const found: string[] = [];
      for (const other of all.filter((one) => one.startsWith(`${path}/`))) {
        if (!found.some((outer) => other.startsWith(`${outer}/`))) {
          found.push(other);
          nested.add(other.slice(path.length + 1));
        }
      }
    }
  }
  return [...nested].sort();
}

/** As Go's `filepath.Clean`: no trailing slash. */
function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}
