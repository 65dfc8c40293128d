import type { VolumeEntry } from "../model/plan.ts";

/** Pure. The name of a plan's timestamped directory: what its `..data` leads to. */
export function datedName(entries: readonly VolumeEntry[]): string | undefined {
  const link = entries.find((entry) => entry.path === "..data");
  return link?.kind === "link" ? link.target : undefined;
}

/** Pure. `wanted`, or `wanted-1`, … when it is taken. */
export function freeName(wanted: string, taken: readonly string[]): string {
  let name = wanted;
  for (let count = 1; taken.includes(name); count += 1) {
    name = `${wanted}-${count}`;
  }
  return name;
}

/** Pure. The entries with another name for the timestamped directory. */
export function withDated(
  entries: readonly VolumeEntry[],
  planned: string | undefined,
  name: string | undefined,
): readonly VolumeEntry[] {
  if (planned === undefined || name === undefined || name === planned) {
    return entries;
  }
  return entries.map((entry) => {
    if (entry.kind === "link" && entry.path === "..data") {
      return { ...entry, target: name };
    }
    const inside = entry.path === planned || entry.path.startsWith(`${planned}/`);
    return inside ? { ...entry, path: name + entry.path.slice(planned.length) } : entry;
  });
}

/** Pure. The entries by their first path component, in their order, without ".". */
export function units(entries: readonly VolumeEntry[]): Map<string, VolumeEntry[]> {
  const map = new Map<string, VolumeEntry[]>();
  for (const entry of entries) {
    const [unit = ""] = entry.path.split("/", 1);
    if (unit !== ".") {
      const known = map.get(unit);
      if (known === undefined) {
        map.set(unit, [entry]);
      } else {
        known.push(entry);
      }
    }
  }
  return map;
}

/**
 * Pure. The place of a first path component in the order of an update: timestamped directories, then
 * `..data`, then the names that lead through it.
 */
export function rank(unit: string, dated: string | undefined): number {
  return unit === dated ? 0 : unit === "..data" ? 1 : unit.startsWith("..") ? 0 : 2;
}
