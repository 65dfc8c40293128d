import { type WantedImage, wantedImages } from "../archive/catalog.ts";
import { Failure } from "../errors.ts";
import type { KeyRing } from "../model/store-key.ts";
import { listGenerations, openGeneration } from "../store/store.ts";
import { parsed } from "./open-checkpoint.ts";

/** The images that an archive is for. */
export interface BlessedImages {
  readonly generation: number;
  /** Each once; undefined where nobody asked the runtime when the generation was captured. */
  readonly images: readonly WantedImage[] | undefined;
}

/**
 * The images of the newest blessed generation that opens; undefined where none is blessed.
 *
 * Reads only.
 *
 * @throws {Failure} E_NO_STORE, E_PERMS, E_IO only when the store cannot be read; what opening the newest blessed one
 *   throws when no blessed one opens
 */
export function blessedImages(
  storeDir: string,
  ring: KeyRing,
  node: string | undefined,
): BlessedImages | undefined {
  let first: Failure | undefined;
  for (const { generation, blessed } of listGenerations(storeDir).generations) {
    if (!blessed) {
      continue;
    }
    try {
      const { checkpoint } = parsed(openGeneration(storeDir, generation, ring, node));
      const { images } = checkpoint;
      return { generation, images: images === undefined ? undefined : wantedImages(images) };
    } catch (error) {
      if (!(error instanceof Failure)) {
        throw error;
      }
      first ??= error;
    }
  }
  if (first !== undefined) {
    throw first;
  }
  return undefined;
}
