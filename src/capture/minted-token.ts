import { Failure } from "../errors.ts";
import { object, text, timestamp } from "../model/shape.ts";

/** A service account token as the apiserver gave it. Secret. */
export interface MintedToken {
  readonly token: string;
  readonly issuedAt: Date;
  /** When the apiserver stops accepting it. */
  readonly expiresAt: Date;
}

/** What a request for a token says; the namespace and the service account are in its path. */
export interface TokenRequest {
  readonly pod: string;
  readonly uid: string;
  /** "" is the apiserver's own audience. */
  readonly audience: string;
  readonly expirationSeconds: number;
}

/**
 * The body of `POST …/serviceaccounts/<serviceAccount>/token`: a token for one pod and one audience.
 *
 * Pure. Without an audience the apiserver takes its own.
 * Source: k8s.io/api v0.37.2 `authentication/v1/types.go: TokenRequest`.
 */
export function tokenRequestBody(wanted: TokenRequest): string {
  const { pod, uid, audience, expirationSeconds } = wanted;
  return JSON.stringify({
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: {
      audiences: audience === "" ? [] : [audience],
      expirationSeconds,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod, uid },
    },
  });
}

/** What the apiserver fills in. Source: v1.37.2 `apis/authentication/v1/defaults.go`. */
const defaultSeconds = 3_600;

/**
 * Takes an apiserver's answer to a TokenRequest.
 *
 * Pure. The times are the token's own claims, read and not verified: of an extended token (see `tokensWanted`) the
 * answer's status tells the lifetime that was asked for, not the one that counts. The status is taken where the token
 * is no JWT or has no such claims.
 *
 * @throws {Failure} E_API_ANSWER only when the answer has another shape; never shows the token
 */
export function parseTokenAnswer(answer: unknown): MintedToken {
  const mismatch = answerShape(answer);
  if (mismatch !== undefined) {
    throw malformed(mismatch.path, mismatch.expected);
  }
  const { spec, status } = answer as TokenAnswer;
  const { token } = status;
  if (token === "") {
    throw malformed("status.token", "a token");
  }
  const asked = fieldOf(spec, "expirationSeconds");
  const seconds = typeof asked === "number" && asked > 0 ? asked : defaultSeconds;
  const statedMs = Date.parse(status.expirationTimestamp);
  const claims = claimsOf(token);
  return {
    token,
    issuedAt: dateOf(fieldOf(claims, "iat")) ?? new Date(statedMs - seconds * 1_000),
    expiresAt: dateOf(fieldOf(claims, "exp")) ?? new Date(statedMs),
  };
}

/** The fields of a TokenRequest that we look at. */
interface TokenAnswer {
  readonly spec?: unknown;
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

const answerShape = object({ status: object({ token: text, expirationTimestamp: timestamp }) });

const dayMs = 86_400_000;
/** See `refreshAt`. */
const longestMs = 7 * dayMs;
/** Below what a quarter of any token's life can be: 10 minutes is the least that the API gives. */
const shortestMs = 60_000;

/**
 * When the next token is minted in place of this one, ms since 1970: after a quarter of its life, a week at most.
 *
 * Pure. The generation holds a token of at most that age when the power fails, so that the node may stay off for three
 * quarters of the token's life or more before its pods lose the API: 358 days of a year.
 *
 * Why a week, when a quarter of a year would do for that: a token also dies with the key that signed it, and whoever
 * rotates that key sees the kubelets' tokens renewed within a day (v1.37.2 `pkg/kubelet/token/token_manager.go: maxTTL`)
 * and may take the old key away soon after. Why not a day: each token costs the apiserver a signature and the node a
 * generation. The kubelet renews a token of 3607 s every 48 minutes; one a week adds half a percent to that, one a day
 * adds 3 %.
 *
 * The time comes earlier by up to a tenth, so that nodes that were started together drift apart. Draw `random` once for
 * a node, not for each token: tokens that were minted together then come due together and change one generation.
 *
 * @param random from 0 to below 1
 * @param receivedAtMs when it was minted by this machine's clock, ms since 1970: a clock that differs from the
 *   apiserver's then neither hastens nor delays the next one
 */
export function refreshAt(
  { issuedAt, expiresAt }: MintedToken,
  random: number,
  receivedAtMs: number = issuedAt.getTime(),
): number {
  const lifeMs = expiresAt.getTime() - issuedAt.getTime();
  // A token that claims to have no life at all must not be asked for in a loop.
  const waitMs = Math.min(Math.max(lifeMs / 4, shortestMs), longestMs);
  return receivedAtMs + Math.round(waitMs * (1 - random / 10));
}

function claimsOf(token: string): unknown {
  const [, payload, signature, ...rest] = token.split(".");
  if (payload === undefined || signature === undefined || rest.length > 0) {
    return undefined;
  }
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    return undefined; // the parser's message would quote the token
  }
}

/** Of a NumericDate, seconds since 1970, with a year of four digits. Source: RFC 7519 §2. */
function dateOf(seconds: unknown): Date | undefined {
  return typeof seconds === "number" && seconds >= 0 && seconds < 253_402_300_800
    ? new Date(seconds * 1_000)
    : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function malformed(where: string, expected: string): Failure {
  return new Failure("E_API_ANSWER", {
    what: "the apiserver's answer to a token request is not what the API defines",
    where,
    found: `expected ${expected}`,
    next: "See whether something between this node and the apiserver answers in its place",
  });
}
