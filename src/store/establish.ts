import { randomUUID } from "node:crypto";
import { Failure } from "../errors.ts";
import { publishFile, readRegularFile, replaceFile } from "../host/atomic-file.ts";
import { ensureDurableDirectory } from "../host/directory.ts";
import { failureOf } from "../host/system-error.ts";
import { readIdentity } from "./freshness.ts";
import { encodeIdentity, type StoreIdentity } from "./identity.ts";
import { maxHeadBytes, readProtected } from "./serialization.ts";
import type { OpenedGeneration, StoreListing } from "./store.ts";

/**
 * Makes the store's directory, 0700, if it is missing. Durable when it returns.
 *
 * @throws {Failure} E_PERMS, E_READONLY, E_NOSPACE, E_IO when it cannot be made
 */
export function prepareDirectory(dir: string): void {
  try {
    ensureDurableDirectory(dir);
  } catch (error) {
    throw failureOf(error, { what: "the store cannot be made", where: dir });
  }
}

/**
 * Gives the store's identity; makes `store.json`, or makes it anew from the generations, when it is missing or damaged.
 *
 * @throws {Failure} E_NODE only when the store is another node's; E_READONLY, E_NOSPACE, … when it cannot be written
 */
export function ensureIdentity(
  dir: string,
  listing: StoreListing,
  previous: OpenedGeneration | undefined,
  node: string,
): StoreIdentity {
  const known = readIdentity(dir);
  if (known !== undefined) {
    if (known.node !== node) {
      throw new Failure("E_NODE", {
        what: "the store belongs to another node",
        where: dir,
        found: `it is of ${JSON.stringify(known.node)}, this is ${JSON.stringify(node)}`,
        next: "Move that store away",
      });
    }
    return known;
  }
  const storeId = previous?.header.storeId ?? claimedStoreId(listing, node) ?? randomUUID();
  const identity = { storeId, node };
  try {
    const bytes = encodeIdentity(identity);
    if (publishFile(dir, "store.json", bytes, 0o600) === "exists") {
      const winner = readIdentity(dir);
      if (winner !== undefined && winner.node === node) {
        return winner;
      }
      replaceFile(dir, "store.json", bytes, 0o600);
    }
  } catch (error) {
    throw failureOf(error, { what: "the store's identity cannot be written", where: dir });
  }
  return identity;
}

/** What the newest readable header says, unproved: with its key lost, the generations still keep their store. */
function claimedStoreId({ generations }: StoreListing, node: string): string | undefined {
  for (const { file } of generations) {
    try {
      const read = readRegularFile(file, maxHeadBytes, "start");
      const header = read.kind === "read" ? readProtected(read.bytes, file).header : undefined;
      if (header?.node === node) {
        return header.storeId;
      }
    } catch {
      // Not readable: the next one may be.
    }
  }
  return undefined;
}
