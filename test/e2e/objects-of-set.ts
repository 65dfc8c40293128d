import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface List {
  readonly items: readonly FixtureObject[];
}

export interface FixtureObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
}

/** The objects of a recorded cluster in test/fixtures. */
export function objectsOfSet(set: "setA"): readonly FixtureObject[] {
  const dir = join(import.meta.dirname, "../fixtures", set, "objects");
  return readdirSync(dir)
    .sort()
    .flatMap((file) => (JSON.parse(readFileSync(join(dir, file), "utf8")) as List).items);
}
