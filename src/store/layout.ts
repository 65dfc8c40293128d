import type { Warning } from "../model/plan.ts";

/*
 * The names in the store directory. The number is always 20 digits; everything else about a generation
 * follows from names, so no file can contradict another:
 *
 *   gen-00000000000000000042.jwe         a sealed generation, immutable
 *   attempts-00000000000000000042+2-1    empty: 2 boot attempts left, 1 used; absent: 3 left
 *   blessed-00000000000000000042         empty: every pod of it was Ready for the settle time
 *   store.json, hwm                      identity, high-water mark (identity.ts)
 *   quarantine/                          damaged generations, at most 3, never read
 *   .tmp-*                               unfinished; garbage
 */

/** Boot attempts that a generation has. */
export const attemptsPerGeneration = 3;

/** Boot attempts of one generation: how many are left, how many were used. */
export interface Attempts {
  readonly left: number;
  readonly done: number;
}

/** What the names in a store directory say. */
export interface StoreNames {
  /** Newest first; each once. */
  readonly generations: readonly number[];
  readonly blessed: ReadonlySet<number>;
  /** Without an entry: all attempts are left. */
  readonly attempts: ReadonlyMap<number, Attempts>;
  readonly temporaries: readonly string[];
  readonly warnings: readonly Warning[];
}

/** Pure. `gen-00000000000000000042.jwe`. */
export function generationName(generation: number): string {
  return `gen-${digits(generation)}.jwe`;
}

/** Pure. `blessed-00000000000000000042`. */
export function blessedName(generation: number): string {
  return `blessed-${digits(generation)}`;
}

/** Pure. `attempts-00000000000000000042+2-1`. */
export function attemptsName(generation: number, { left, done }: Attempts): string {
  return `attempts-${digits(generation)}+${left}-${done}`;
}

/** Pure. The generation that `name` stands for, or undefined when no generation is named so. */
export function parseGenerationName(name: string): number | undefined {
  return parseNumber(/^gen-(\d{20})\.jwe$/.exec(name)?.[1]);
}

/** Pure. The generation that an attempts file, well formed or not, belongs to. */
export function attemptsOwner(name: string): number | undefined {
  return parseNumber(/^attempts-(\d{20})\+/.exec(name)?.[1]);
}

/** Pure. The generation that a mark, a boot counter or a blessing, belongs to. */
export function markOwner(name: string): number | undefined {
  return attemptsOwner(name) ?? parseNumber(/^blessed-(\d{20})$/.exec(name)?.[1]);
}

/** Pure. Sorts the entries of a store directory by meaning; a name that only looks like ours is ignored. */
export function readNames(entries: readonly string[]): StoreNames {
  const generations: number[] = [];
  const blessed = new Set<number>();
  const attempts = new Map<number, Attempts>();
  const temporaries: string[] = [];
  const warnings: Warning[] = [];
  for (const name of [...entries].sort()) {
    const kind = /^(gen|blessed|attempts)[-.]/i.exec(name)?.[1];
    const generation = parseGenerationName(name);
    const mark = parseNumber(/^blessed-(\d{20})$/.exec(name)?.[1]);
    const owner = attemptsOwner(name);
    if (name.startsWith(".tmp-")) {
      temporaries.push(name);
    } else if (generation !== undefined) {
      generations.push(generation);
    } else if (mark !== undefined) {
      blessed.add(mark);
    } else if (owner !== undefined) {
      const read = attempts.has(owner) ? undefined : parseAttempts(name);
      attempts.set(owner, read ?? { left: 0, done: attemptsPerGeneration });
      if (read === undefined) {
        warnings.push(badAttempts(name));
      }
    } else if (kind !== undefined) {
      warnings.push({
        code: "W_NAME",
        message: `${JSON.stringify(name)} is not a name of the store; ignored`,
      });
    }
  }
  generations.sort((a, b) => b - a);
  return { generations, blessed, attempts, temporaries, warnings };
}

/** Undefined unless the two numbers are possible. */
function parseAttempts(name: string): Attempts | undefined {
  const [, left, done] = /^attempts-\d{20}\+(\d)-(\d{1,3})$/.exec(name) ?? [];
  const attempts = { left: Number(left), done: Number(done) };
  return attempts.left <= attemptsPerGeneration ? attempts : undefined;
}

function badAttempts(name: string): Warning {
  return {
    code: "W_ATTEMPTS",
    message: `${JSON.stringify(name)} is not a boot counter; its generation counts as having no attempt left`,
  };
}

/** 20 digits hold more than a JavaScript number does: what would lose its last digits is no generation. */
function parseNumber(text: string | undefined): number | undefined {
  const value = text === undefined ? 0 : Number(text);
  return Number.isSafeInteger(value) && value >= 1 ? value : undefined;
}

function digits(generation: number): string {
  return String(generation).padStart(20, "0");
}
