import type { Pod } from "../model/kubernetes.ts";
import type { TokenSource } from "../model/volume-sources.ts";
import type { MintedToken, TokenRequest } from "./minted-token.ts";
import { mountedIn, serviceAccountOf } from "./references.ts";

/** A token that a pod's containers find in a projected volume. */
export interface TokenWanted extends TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A token that was minted. Secret. */
export interface HeldToken extends MintedToken {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly audience: string;
  /** When another is minted, ms since 1970: `refreshAt`, drawn once. */
  readonly refreshAtMs: number;
}

/** What the API fills in. Source: v1.37.2 `apis/core/v1/defaults.go: SetDefaults_ServiceAccountTokenProjection`. */
const defaultSeconds = 3_600;
/**
 * Asked for exactly, bound to a pod and for the apiserver itself, it gives a token that lasts a year where the
 * apiserver extends tokens, which it does by default. Source: v1.37.2
 * `pkg/serviceaccount/claims.go: WarnOnlyBoundTokenExpirationSeconds`, `registry/core/serviceaccount/storage/token.go`.
 */
const extendedSeconds = 3_607;
const yearSeconds = 31_536_000;

/**
 * Lists the tokens that the containers of the pods find in their volumes, each pod and audience once.
 *
 * Pure. In the order of the pods and their volumes. A pod without a uid has none: no apiserver has made it. For
 * the apiserver's own audience an hour, which says no more than that the author named no time, becomes the special
 * lifetime that is extended to a year. Of several sources of one audience the one whose token lasts longest counts:
 * the checkpoint holds one token of a pod and audience.
 */
export function tokensWanted(pods: readonly Pod[]): readonly TokenWanted[] {
  const wanted = new Map<string, TokenWanted>();
  for (const pod of pods) {
    const { namespace = "default", name, uid = "" } = pod.metadata;
    for (const { audience: given, expirationSeconds } of uid === "" ? [] : sourcesOf(pod)) {
      const audience = given ?? "";
      const seconds = secondsToAsk(audience, expirationSeconds ?? defaultSeconds);
      const key = keyOf({ uid, audience });
      const known = wanted.get(key)?.expirationSeconds ?? 0;
      if (lifeOf(audience, seconds) > lifeOf(audience, known)) {
        wanted.set(key, {
          namespace,
          pod: name,
          uid,
          serviceAccount: serviceAccountOf(pod),
          audience,
          expirationSeconds: seconds,
        });
      }
    }
  }
  return [...wanted.values()];
}

/**
 * Tells which of the wanted tokens are minted now: those of which none is held for the pod's uid and the audience, and
 * those that are due.
 *
 * Pure. A replaced pod has another uid, so that the old pod's token never passes for its own.
 */
export function tokensDue(
  wanted: readonly TokenWanted[],
  held: readonly HeldToken[],
  now: Date,
): readonly TokenWanted[] {
  const fresh = new Set(
    held.filter(({ refreshAtMs }) => refreshAtMs > now.getTime()).map((token) => keyOf(token)),
  );
  return wanted.filter((one) => !fresh.has(keyOf(one)));
}

/** Pure. The held tokens that are still wanted; those of pods that are gone or replaced are dropped. */
export function heldFor(
  wanted: readonly TokenWanted[],
  held: readonly HeldToken[],
): readonly HeldToken[] {
  const keys = new Set(wanted.map((one) => keyOf(one)));
  return held.filter((token) => keys.has(keyOf(token)));
}

function sourcesOf(pod: Pod): readonly TokenSource[] {
  return (pod.spec.volumes ?? [])
    .filter(mountedIn(pod))
    .flatMap(({ projected }) => projected?.sources ?? [])
    .flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []);
}

function secondsToAsk(audience: string, seconds: number): number {
  const isHour = seconds >= defaultSeconds && seconds <= extendedSeconds;
  return audience === "" && isHour ? extendedSeconds : seconds;
}

function lifeOf(audience: string, seconds: number): number {
  return audience === "" && seconds === extendedSeconds ? yearSeconds : seconds;
}

/** A uid holds no slash. */
function keyOf({ uid, audience }: { readonly uid: string; readonly audience: string }): string {
  return `${uid}/${audience}`;
}
