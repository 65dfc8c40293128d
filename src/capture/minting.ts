import { Failure } from "../errors.ts";
import { ApiFailure } from "../kube/api-failure.ts";
import { type Asking, askJson } from "../kube/request.ts";
import type { Checkpoint, ServiceAccountToken, UnmintedToken } from "../model/checkpoint.ts";
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
   * Mints what is due for these pods; what the apiserver refuses is asked for again after ten minutes.
   *
   * @throws {ApiFailure} E_API_UNREACHABLE and others that pass, only where a token that was never there could not be
   *   asked for; the signal's reason
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
      const again = this.#refused.get(keyOf(one))?.againAt ?? 0;
      if (again <= clock.now() || again > clock.now() + 2 * refusalMs) {
        await this.#mint(one);
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
      expiresAt: expiresAt.toISOString(),
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
      // A token that is held is used until it dies: it may be worth more than the right to a new one.
      const isHeld = this.#held.some((held) => keyOf(held) === key);
      const passes = error instanceof ApiFailure && error.isTransient;
      if (passes && !isHeld) {
        throw error;
      }
      const { namespace, pod, audience } = wanted;
      this.#refused.set(key, {
        againAt: clock.now() + (passes ? retryMs : refusalMs),
        unminted: isHeld
          ? undefined
          : { namespace, pod, audience, message: `${error.code}: ${error.message}` },
      });
    }
  }
}

interface Refusal {
  readonly againAt: number;
  /** undefined while an older token is held. */
  readonly unminted: UnmintedToken | undefined;
}

const refusalMs = 600_000;
const retryMs = 30_000;

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
