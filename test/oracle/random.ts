/** A source of choices that a seed determines. */
export interface Random {
  /** A whole number from 0 to below `limit`. */
  int(limit: number): number;
  /** True with probability `p`. */
  chance(p: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
  /** Up to `most` different choices, at least `least`, in random order. */
  some<T>(choices: readonly T[], most: number, least?: number): T[];
}

/** Pure. Source of the generator: mulberry32, a public-domain 32-bit generator. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const int = (limit: number): number => Math.floor(next() * limit);
  return {
    int,
    chance: (p) => next() < p,
    pick: (choices) => choices[int(choices.length)] ?? choices[0],
    some: (choices, most, least = 0) => {
      const rest = [...choices];
      const count = Math.min(rest.length, least + int(most - least + 1));
      return Array.from({ length: count }, () => rest.splice(int(rest.length), 1)).flat();
    },
  };
}
