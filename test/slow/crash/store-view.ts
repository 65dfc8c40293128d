import { readdirSync } from "node:fs";
import { paths, under } from "../../../src/config.ts";
import { Failure } from "../../../src/errors.ts";
import { readKey } from "../../../src/host/credential.ts";
import { parseGenerationName } from "../../../src/store/layout.ts";
import { openGeneration, openNewest } from "../../../src/store/store.ts";
import { node } from "./node-root.ts";

/** What a store holds, by the unchanged source: generation → its document, or the code of its failure. */
export interface StoreView {
  /** Names in the store's directory, sorted; undefined when there is none. */
  readonly names: readonly string[] | undefined;
  readonly documents: ReadonlyMap<number, string>;
  readonly broken: ReadonlyMap<number, string>;
  /** The one that a restore would use. */
  readonly newest: number | undefined;
  readonly rollback: boolean;
  readonly freshnessUnknown: boolean;
}

/** Opens every generation with the node's key. Changes nothing. */
export function viewStore(root: string): StoreView {
  const dir = under(root, paths.store);
  const names = namesIn(dir);
  const documents = new Map<number, string>();
  const broken = new Map<number, string>();
  let newest: number | undefined;
  let rollback = false;
  let freshnessUnknown = false;
  if (names !== undefined) {
    const { ring } = readKey({ root, credentialsDir: undefined });
    for (const name of names) {
      const generation = parseGenerationName(name);
      if (generation !== undefined) {
        try {
          const { plaintext } = openGeneration(dir, generation, ring, node);
          documents.set(generation, withoutTime(plaintext));
        } catch (error) {
          broken.set(generation, codeOf(error));
        }
      }
    }
    try {
      const reading = openNewest(dir, ring, node);
      newest = reading.kind === "opened" ? reading.opened.generation : undefined;
      rollback = reading.rollback !== undefined;
      freshnessUnknown = reading.warnings.some(({ code }) => code === "W_HWM");
    } catch (error) {
      codeOf(error);
    }
  }
  return { names, documents, broken, newest, rollback, freshnessUnknown };
}

/** Names in a directory, sorted; undefined when there is none. */
export function namesIn(dir: string): readonly string[] | undefined {
  try {
    return readdirSync(dir).sort();
  } catch {
    return undefined;
  }
}

function withoutTime(plaintext: Buffer): string {
  const document = JSON.parse(plaintext.toString("utf8")) as { metadata: { capturedAt?: string } };
  delete document.metadata.capturedAt;
  return JSON.stringify(document);
}

function codeOf(error: unknown): string {
  if (error instanceof Failure) {
    return error.code;
  }
  throw error;
}
