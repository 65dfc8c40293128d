import { join } from "node:path";
import { Failure } from "../errors.ts";
import { readGuarded } from "../host/guarded-file.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import {
  type HighWaterMark,
  isProved,
  parseHighWaterMark,
  parseIdentity,
  type StoreIdentity,
} from "./identity.ts";

/** Keys that open generations. */
export type OpeningKeys = Pick<KeyRing, "find" | "kids">;

/** Whether the newest generation is the newest that was ever committed, as far as can be told. */
export interface Freshness {
  /** E_ROLLBACK: an older store was put back. */
  readonly rollback: Failure | undefined;
  readonly warnings: readonly Warning[];
}

/** The identity in `store.json`, or undefined when that cache is missing or damaged. */
export function readIdentity(dir: string): StoreIdentity | undefined {
  const text = readSmall(join(dir, "store.json"));
  return text === undefined ? undefined : parseIdentity(text);
}

/** The proved high-water mark, or undefined. */
export function readHighWaterMark(dir: string, storeId: string | undefined, keys: OpeningKeys) {
  const text = readSmall(join(dir, "hwm"));
  const mark = text === undefined ? undefined : parseHighWaterMark(text);
  return mark !== undefined && storeId !== undefined && proves(mark, storeId, keys)
    ? mark
    : undefined;
}

function proves(mark: HighWaterMark, storeId: string, keys: OpeningKeys): boolean {
  return keys.kids().some((kid) => {
    const key = keys.find(kid);
    return key !== undefined && isProved(mark, storeId, key);
  });
}

/** Compares the newest generation that is listed with the high-water mark. Reads one file. */
export function checkFreshness(
  dir: string,
  newest: number,
  storeId: string | undefined,
  keys: OpeningKeys,
): Freshness {
  const mark = readHighWaterMark(dir, storeId, keys);
  if (mark === undefined) {
    const message = "freshness cannot be checked: the high-water mark is missing or damaged";
    return { rollback: undefined, warnings: [{ code: "W_HWM", message }] };
  }
  if (newest >= mark.generation) {
    return { rollback: undefined, warnings: [] };
  }
  const rollback = new Failure("E_ROLLBACK", {
    what: `the newest checkpoint is generation ${newest}, but generation ${mark.generation} was committed`,
    where: dir,
    next: "Find out who put an older store back; capture anew when the cluster is healthy",
  });
  return {
    rollback,
    warnings: [{ code: "W_STORE", message: `${rollback.code}: ${rollback.message}` }],
  };
}

/** Contents of a small file beside the generations; whatever keeps it from being read, it is a cache. */
function readSmall(file: string): string | undefined {
  try {
    return readGuarded(file, 4096, "the file")?.bytes.toString("utf8");
  } catch {
    return undefined;
  }
}
