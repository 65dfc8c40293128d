import { Failure } from "../errors.ts";
import { ApiFailure } from "../kube/api-failure.ts";
import { backoffMs } from "../kube/backoff.ts";
import { type Asking, askJson } from "../kube/request.ts";
import type { Checkpoint, ServiceAccountToken, UnmintedToken } from "../model/checkpoint.ts";
import { isoTime } from "../model/iso-time.ts";
import { parseTokenAnswer, refreshAt, tokenRequestBody } from "./minted-token.ts";
import { type HeldToken, heldFor, type TokenWanted, tokensDue } from "./tokens.ts";

/** The tokens of a node's captured pods, kept for as long as the capture runs. */
export class Minting {
  readonly #asking: Asking;
  /** Drawn once, so that tokens minted together come due together. */
  readonly #random: number;
  #held: readonly HeldToken[];
  readonly #refused = new Map<string, Refusal>();

  /** @param newest  the newest generation, whose tokens are used until they are due */
  constructor(asking: Asking, newest: Checkpoint | undefined) {
    this.#asking = asking;
    this.#random = asking.clock.random();
    this.#held = newest === undefined ? [] : heldIn(newest, this.#random, asking.clock.now());
  }

  /**
   * Mints what is due for these pods; what the apiserver refuses is asked for again, ever more rarely.
   *
   * @throws {Failure} E_API_…, only while a token that was never there cannot be had and that may pass; the
   *   signal's reason
   */
  async refresh(wanted: readonly TokenWanted[]): Promise<void> {
    const { clock } = this.#asking;
    this.#held = heldFor(wanted, this.#held);
    const keys = new Set(wanted.map(keyOf));
    for (const key of this.#refused.keys()) {
      if (!keys.has(key)) {
        this.#refused.delete(key);
      }
    }
    for (const one of tokensDue(wanted, this.#held, new Date(clock.now()))) {
      const refusal = this.#refused.get(keyOf(one));
      const againAt = refusal?.againAt ?? 0;
      if (againAt <= clock.now() || againAt > clock.now() + 2 * growth.mostMs) {
        await this.#mint(one);
      } else if (refusal?.failure !== undefined) {
        throw refusal.failure;
      }
    }
  }

  /** When the next token is due, ms since 1970; undefined when none will be. */
  get dueAt(): number | undefined {
    const refused = this.#refused;
    const times = [
      ...this.#held
        .filter((held) => !refused.has(keyOf(held)))
        .map(({ refreshAtMs }) => refreshAtMs),
      ...[...refused.values()].map(({ againAt }) => againAt),
    ];
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** When the first of the tokens passes half of its life, ms since 1970; undefined when there is none. */
  get halfLifeMs(): number | undefined {
    const times = this.#held.map(
      ({ issuedAt, expiresAt }) => (issuedAt.getTime() + expiresAt.getTime()) / 2,
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** As a checkpoint holds them. */
  get tokens(): readonly ServiceAccountToken[] {
    return this.#held.map(({ namespace, pod, audience, token, expiresAt }) => ({
      namespace,
      pod,
      audience,
      token,
      expiresAt: isoTime(expiresAt),
    }));
  }

  /** What could not be minted, and why. */
  get unminted(): readonly UnmintedToken[] {
    return [...this.#refused.values()].flatMap(({ unminted }) => unminted ?? []);
  }

  async #mint(wanted: TokenWanted): Promise<void> {
    const { clock } = this.#asking;
    const key = keyOf(wanted);
    try {
      const minted = await mint(wanted, this.#asking);
      const refreshAtMs = refreshAt(minted, this.#random, clock.now());
      const { namespace, pod, uid, audience } = wanted;
      this.#held = [
        ...this.#held.filter((held) => keyOf(held) !== key),
        { ...minted, namespace, pod, uid, audience, refreshAtMs },
      ];
      this.#refused.delete(key);
    } catch (error) {
      if (!(error instanceof Failure) || this.#asking.signal.aborted) {
        throw error;
      }
      this.#refuse(key, wanted, error);
    }
  }

  /**
   * Notes that a token could not be minted. A token that is held is used until it dies, for it may be worth more
   * than the right to a new one. Without one it is first taken for something that passes: the authorizer learns of a
   * new pod a little late, an apiserver may be busy. Only then is the pod captured without its token.
   *
   * @throws {Failure} the failure, while it may pass and no token is held
   */
  #refuse(key: string, { namespace, pod, audience }: TokenWanted, failure: Failure): void {
    const now = this.#asking.clock.now();
    const known = this.#refused.get(key);
    const tries = (known?.tries ?? 0) + 1;
    const sinceMs = Math.min(known?.sinceMs ?? now, now);
    const isTransient = failure instanceof ApiFailure && failure.isTransient;
    const graceMs = this.#asking.attempts > 1 ? 0 : isTransient ? busyMs : lateMs;
    const isHeld = this.#held.some((held) => keyOf(held) === key);
    const mayPass = !isHeld && (now - sinceMs < graceMs || (isTransient && graceMs === 0));
    const askedMs = failure instanceof ApiFailure ? (failure.retryAfterMs ?? 0) : 0;
    const usualMs = backoffMs(
      tries,
      growth,
      this.#asking.clock.random(),
      Math.min(askedMs, busyMs),
    );
    // While it may be a matter of a moment, it is asked every moment.
    const waitMs = mayPass && !isTransient ? growth.firstMs : usualMs;
    const message = `${failure.code}: ${failure.message}`;
    this.#refused.set(key, {
      tries,
      sinceMs,
      againAt: now + waitMs,
      failure: mayPass ? failure : undefined,
      unminted: isHeld || mayPass ? undefined : { namespace, pod, audience, message },
    });
    if (mayPass) {
      throw failure;
    }
  }
}

interface Refusal {
  readonly tries: number;
  /** When it was refused first. */
  readonly sinceMs: number;
  readonly againAt: number;
  /** What it was refused with, while that may pass and nothing is to be captured. */
  readonly failure: Failure | undefined;
  /** undefined while an older token is held. */
  readonly unminted: UnmintedToken | undefined;
}

const growth = { firstMs: 1_000, mostMs: 600_000 } as const;
/** How late an authorizer may learn of a pod, ms. */
const lateMs = 3_000;
/** How long an apiserver may be busy before pods are captured without a token, ms. */
const busyMs = 180_000;

async function mint(wanted: TokenWanted, asking: Asking) {
  const { namespace, serviceAccount, pod, audience } = wanted;
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
  const audiences = audience === "" ? "" : ` and audience ${audience}`;
  const asked = {
    verb: "create",
    resource: "serviceaccounts/token",
    object: `${namespace}/${serviceAccount} for pod ${pod}${audiences}`,
  } as const;
  const request = { method: "POST", path, body: tokenRequestBody(wanted) } as const;
  return parseTokenAnswer(await askJson(request, asked, asking));
}

/** The tokens of a generation, due as if they had been minted when their claims say. */
function heldIn({ tokens, items }: Checkpoint, random: number, now: number): readonly HeldToken[] {
  const uids = new Map(
    items
      .filter(({ kind }) => kind === "Pod")
      .map(({ metadata: { namespace = "default", name, uid } }) => [`${namespace}/${name}`, uid]),
  );
  return tokens.flatMap(({ namespace, pod, audience, token, expiresAt }) => {
    const uid = uids.get(`${namespace}/${pod}`);
    if (uid === undefined) {
      return [];
    }
    const minted = parseTokenAnswer({ status: { token, expirationTimestamp: expiresAt } });
    const refreshAtMs = Math.min(refreshAt(minted, random), refreshAt(minted, random, now));
    return [{ ...minted, namespace, pod, uid, audience, refreshAtMs }];
  });
}

/** A uid holds no slash. */
function keyOf({ uid, audience }: { readonly uid: string; readonly audience: string }): string {
  return `${uid}/${audience}`;
}
