import { timingSafeEqual } from "node:crypto";
import type { StoreKey } from "../model/store-key.ts";
import { isRecord } from "./header.ts";

/** Which store this is: generations of another store or node are refused. */
export interface StoreIdentity {
  readonly storeId: string;
  readonly node: string;
}

/** The highest generation ever committed: tells when an older one is presented as the newest. */
export interface HighWaterMark {
  readonly generation: number;
  /** HMAC under the node's key, base64url. */
  readonly mac: string;
}

/** Pure. The text of `store.json`: a cache, which any valid generation can rebuild. */
export function encodeIdentity({ storeId, node }: StoreIdentity): Buffer {
  return Buffer.from(`${JSON.stringify({ format: 1, storeId, node })}\n`);
}

/** Pure. The identity in `store.json`, or undefined when the file is damaged. */
export function parseIdentity(text: string): StoreIdentity | undefined {
  const value = parseJson(text);
  if (!isRecord(value)) {
    return undefined;
  }
  const { format, storeId, node } = value;
  return format === 1 && typeof storeId === "string" && typeof node === "string" && storeId !== ""
    ? { storeId, node }
    : undefined;
}

/** Pure. The text of `hwm`. */
export function encodeHighWaterMark(generation: number, storeId: string, key: StoreKey): Buffer {
  const mac = markMac(generation, storeId, key).toString("base64url");
  return Buffer.from(`${JSON.stringify({ generation, mac })}\n`);
}

/** Pure. The mark in `hwm`, not yet proved, or undefined when the file is damaged. */
export function parseHighWaterMark(text: string): HighWaterMark | undefined {
  const value = parseJson(text);
  if (!isRecord(value)) {
    return undefined;
  }
  const { generation, mac } = value;
  return typeof generation === "number" &&
    Number.isSafeInteger(generation) &&
    generation >= 1 &&
    typeof mac === "string"
    ? { generation, mac }
    : undefined;
}

/** Pure. True when this key made the mark for this store. */
export function isProved(mark: HighWaterMark, storeId: string, key: StoreKey): boolean {
  const given = Buffer.from(mark.mac, "base64url");
  const expected = markMac(mark.generation, storeId, key);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function markMac(generation: number, storeId: string, key: StoreKey): Buffer {
  return key.mac("high-water-mark", JSON.stringify([storeId, generation]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
