import { readlinkSync, renameSync } from "node:fs";
import { type AnchoredDir, removeEntry } from "../host/anchored-dir.ts";
import { buildTree } from "../host/atomic-dir.ts";
import { hasEntries } from "../host/compare-tree.ts";
import { hasOwner, type Owner, reapplyOwner } from "../host/ownership.ts";
import { hasErrno } from "../host/system-error.ts";
import type { VolumeEntry } from "../model/plan.ts";
import { datedName, freeName, rank, units, withDated } from "./volume-units.ts";

/** A volume that is ready to be shown: whatever can run out of space has been written. */
export type StagedVolume =
  | { readonly kind: "equal"; readonly name: string }
  | { readonly kind: "fresh"; readonly name: string; readonly stage: string }
  | {
      readonly kind: "changed";
      readonly name: string;
      readonly stage: string;
      /** An empty hidden directory for what is taken away. */
      readonly trash: string;
      /** First path components, in the order in which they are put in place. */
      readonly replace: readonly string[];
      readonly remove: readonly string[];
      /** What the volume's own directory becomes. */
      readonly top: Directory | undefined;
    };

type Directory = Extract<VolumeEntry, { kind: "directory" }>;

/**
 * Writes what is missing of one volume, out of sight, beside it.
 *
 * A volume that does not exist is built whole. One that exists is compared with the plan; the name
 * of its timestamped directory does not count, as the kubelet compares content only. What differs is
 * built anew. Nothing that a container can see changes before `commitVolume`.
 *
 * @param parent  the directory that the volume lies in, closed to everybody else
 * @param stage   prefix of the hidden names to build under; nothing may have it
 */
export function stageVolume(
  parent: AnchoredDir,
  name: string,
  entries: readonly VolumeEntry[],
  stage: string,
  owner: Owner,
): StagedVolume {
  using volume = openExisting(parent, name);
  if (volume === undefined) {
    using dir = parent.makeChild(stage, topMode(entries));
    buildTree(dir, entries, owner);
    return { kind: "fresh", name, stage };
  }
  const names = volume.names();
  const planned = datedName(entries);
  const present = readDated(volume);
  const keep = planned !== undefined && present !== undefined && hasDated(volume, present);
  const dated = keep ? present : planned === undefined ? undefined : freeName(planned, names);
  const wanted = units(withDated(entries, planned, dated));
  const replace = [...wanted.keys()].filter(
    (unit) => !(keep && unit === dated) && !hasEntries(volume, wanted.get(unit) ?? [], owner),
  );
  const remove = names.filter((unit) => !wanted.has(unit));
  const top = entries.find((entry) => entry.path === ".");
  const newTop =
    top?.kind === "directory" && !hasOwner(volume.stat(), top, owner) ? top : undefined;
  if (replace.length === 0 && remove.length === 0 && newTop === undefined) {
    return { kind: "equal", name };
  }
  const trash = `${stage}-old`;
  parent.makeChild(trash)[Symbol.dispose]();
  using dir = parent.makeChild(stage);
  buildTree(
    dir,
    replace.flatMap((unit) => wanted.get(unit) ?? []),
    owner,
  );
  return {
    kind: "changed",
    name,
    stage,
    trash,
    replace: replace.sort((a, b) => rank(a, dated) - rank(b, dated)),
    remove: remove.sort((a, b) => rank(b, undefined) - rank(a, undefined)),
    top: newTop,
  };

  function hasDated(dir: AnchoredDir, found: string): boolean {
    const unit = units(withDated(entries, planned, found)).get(found) ?? [];
    return hasEntries(dir, unit, owner);
  }
}

/**
 * Shows a staged volume.
 *
 * A fresh one appears by one rename. A changed one is updated as the kubelet's AtomicWriter does it,
 * inside of the same directory, because a bind mount of a running container stays with that
 * directory: (1) the new timestamped directory beside the old one, (2) `..data` swapped by rename,
 * the commit point, (3) the other first-level names, (4) what the plan does not have is taken away.
 * Source: kubernetes v1.37.2 pkg/volume/util/atomic_writer.go, `Write`.
 */
export function commitVolume(parent: AnchoredDir, staged: StagedVolume, owner: Owner): void {
  switch (staged.kind) {
    case "equal":
      return;
    case "fresh":
      renameSync(parent.at(staged.stage), parent.at(staged.name));
      return;
    case "changed": {
      using volume = parent.openChild(staged.name);
      using stage = parent.openChild(staged.stage);
      using trash = parent.openChild(staged.trash);
      let discarded = 0;
      const discard = (unit: string): void => {
        renameSync(volume.at(unit), trash.at(String(discarded++)));
      };
      for (const unit of staged.replace) {
        moveOver(stage.at(unit), volume.at(unit), () => discard(unit)); // (1) (2) (3)
      }
      for (const unit of staged.remove) {
        discard(unit); // (4)
      }
      if (staged.top !== undefined) {
        reapplyOwner(volume.fd, staged.top, owner);
      }
      removeEntry(parent, staged.stage);
      removeEntry(parent, staged.trash);
      return;
    }
    default:
      staged satisfies never;
  }
}

/** A name that changes its kind (a key's link becomes a mount point) cannot be renamed over. */
function moveOver(from: string, to: string, makeWay: () => void): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!hasErrno(error, "EISDIR", "ENOTDIR", "ENOTEMPTY", "EEXIST")) {
      throw error;
    }
    makeWay();
    renameSync(from, to);
  }
}

/** What mkdir(2) takes of the volume's own mode; setgid is inherited. */
function topMode(entries: readonly VolumeEntry[]): number {
  const top = entries.find(({ path }) => path === ".");
  return top?.kind === "directory" ? top.mode & 0o1777 : 0o700;
}

function openExisting(parent: AnchoredDir, name: string): AnchoredDir | undefined {
  try {
    return parent.openChild(name);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return undefined;
    }
    throw error;
  }
}

function readDated(volume: AnchoredDir): string | undefined {
  try {
    const target = readlinkSync(volume.at("..data"));
    return /^\.\.[^/]+$/.test(target) && target !== "..data" ? target : undefined;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "EINVAL")) {
      return undefined;
    }
    throw error;
  }
}
