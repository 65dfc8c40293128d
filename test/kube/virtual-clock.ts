import { setImmediate as drained } from "node:timers/promises";
import type { Clock } from "../../src/kube/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  fire: (() => void) | undefined;
}

/** Time that passes only while nothing else happens: hours of waits take no longer than what is done in them. */
export class VirtualClock implements Clock {
  /** The first timer is the first due: a binary heap. */
  readonly #timers: Timer[] = [];
  readonly #random: () => number;
  #now: number;
  #order = 0;

  readonly #grainMs: number;

  /** Timers less than `grainMs` apart may fire before what the first of them leads to has happened. */
  constructor(seed = 1, { grainMs = 0 }: { readonly grainMs?: number } = {}) {
    this.#random = randomFrom(seed);
    this.#now = 1_700_000_000_000;
    this.#grainMs = grainMs;
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.#random();
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = this.at(this.#now + ms, () => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
    const abort = () => {
      timer.fire = undefined;
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    await promise;
  }

  /** Runs something once, at a time. */
  at(at: number, fire: () => void): { fire: (() => void) | undefined } {
    const timer = { at, order: this.#order++, fire };
    this.#push(timer);
    return timer;
  }

  /** Sets the clock to another time, as NTP does, without that time passing: what sleeps is not woken. */
  set(now: number): void {
    const shift = now - this.#now;
    this.#now = now;
    for (const [index, timer] of this.#timers.entries()) {
      this.#timers[index] = { ...timer, at: timer.at + shift };
    }
  }

  /** Lets `ms` pass: each timer in its turn, the next one only when nothing more happens before it. */
  async run(ms: number): Promise<void> {
    const until = this.#now + ms;
    await drained();
    for (;;) {
      const first = this.#timers[0];
      if (first === undefined || first.at > until) {
        break;
      }
      const end = Math.min(until, first.at + this.#grainMs);
      for (let next = this.#timers[0]; next !== undefined && next.at <= end; ) {
        this.#pop();
        this.#now = Math.max(this.#now, next.at);
        next.fire?.();
        next = this.#grainMs === 0 ? undefined : this.#timers[0];
      }
      await drained();
    }
    this.#now = until;
  }

  #push(timer: Timer): void {
    const timers = this.#timers;
    let at = timers.length;
    timers.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = timers[parent];
      if (above === undefined || isBefore(above, timer)) {
        break;
      }
      timers[at] = above;
      at = parent;
    }
    timers[at] = timer;
  }

  #pop(): void {
    const timers = this.#timers;
    const last = timers.pop();
    if (last === undefined || timers.length === 0) {
      return;
    }
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const first = timers[left];
      const second = timers[left + 1];
      const child =
        second !== undefined && first !== undefined && isBefore(second, first) ? left + 1 : left;
      const smaller = timers[child];
      if (smaller === undefined || isBefore(last, smaller)) {
        break;
      }
      timers[at] = smaller;
      at = child;
    }
    timers[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
