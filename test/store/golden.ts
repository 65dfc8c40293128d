import { readFileSync } from "node:fs";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";

const dir = new URL("../fixtures/envelope/", import.meta.url);

/** Golden file or key of a released format. */
export function golden(name: string): Buffer {
  return readFileSync(new URL(name, dir));
}

export function goldenJwk(name: string): { readonly k?: string; readonly kid: string } {
  return JSON.parse(golden(name).toString("utf8"));
}

/** The throw-away node key of the golden files. */
export const goldenKey = StoreKey.parse(
  Buffer.from(goldenJwk("v1-node.jwk").k ?? "", "base64url"),
  "v1-node.jwk",
);
export const goldenRing = ringOf(goldenKey);
