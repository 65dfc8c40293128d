import { Failure } from "../errors.ts";
import type { GenerationHeader } from "./header.ts";

/** What a generation must be besides authentic; undefined is not checked. */
export interface Binding {
  readonly storeId: string | undefined;
  readonly node: string | undefined;
  /** As its file name says. */
  readonly generation: number | undefined;
}

/**
 * Proves that an authenticated generation is this store's, this node's and the one its name says.
 *
 * Pure.
 *
 * @throws {Failure} E_STORE_ID, E_NODE, E_GEN_MISMATCH, in this order
 */
export function checkBinding(header: GenerationHeader, expected: Binding, file: string): void {
  const { storeId, node, generation } = expected;
  if (storeId !== undefined && header.storeId !== storeId) {
    throw new Failure("E_STORE_ID", {
      what: "the checkpoint belongs to another store",
      where: file,
      found: `store ${JSON.stringify(header.storeId)}, this is ${JSON.stringify(storeId)}`,
      next: "Give it to `blackstart restore --from` if it is wanted",
    });
  }
  if (node !== undefined && header.node !== node) {
    throw new Failure("E_NODE", {
      what: "the checkpoint was taken on another node",
      where: file,
      found: `it is of ${JSON.stringify(header.node)}, this is ${JSON.stringify(node)}`,
      next: "Use a checkpoint of this node",
    });
  }
  if (generation !== undefined && header.generation !== generation) {
    throw new Failure("E_GEN_MISMATCH", {
      what: "the checkpoint was renamed",
      where: file,
      found: `file name says ${generation}, seal says ${header.generation}`,
      next: "Remove the file",
    });
  }
}
