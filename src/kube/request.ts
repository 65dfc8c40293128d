import { Failure } from "../errors.ts";
import { parseJson } from "../model/json.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { parseObject } from "../model/parse-object.ts";
import type { ApiAnswer, ApiRequest } from "./api.ts";
import { ApiFailure, type Asked, failureOfStatus } from "./api-failure.ts";
import { backoffMs } from "./backoff.ts";
import { type Clock, steadyTime } from "./clock.ts";
import type { Api } from "./connections.ts";

/** What a request needs besides itself. */
export interface Asking {
  readonly api: Api;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How often it is tried while the trouble may pass; at least 1. */
  readonly attempts: number;
  /** Asked before what is not urgent, after an outage. */
  readonly urgent?: boolean;
  /** As a `Ticket`'s. */
  readonly continues?: boolean;
}

/** The largest answer that is read, bytes: a list of the most and largest pods is far below. */
const bodyLimitBytes = 64 * 1_048_576;
/** Of an answer that is no success, only Kubernetes' Status is read. */
const statusLimitBytes = 65_536;
const growth = { firstMs: 500, mostMs: 10_000 } as const;
/** Nothing is tried again later than that after the first try, milliseconds: somebody may be waiting for it. */
const retryWithinMs = 10_000;
/**
 * How long the body of an answer may take, milliseconds. An apiserver gives itself a minute for the whole answer.
 *
 * Source: k8s.io/apiserver v0.37.2 `pkg/server/config.go: NewConfig, RequestTimeout`.
 */
const bodyMs = 45_000;

/**
 * Asks and takes the JSON of the answer, trying again what may soon pass (no connection, 429, 5xx, garbage).
 *
 * @throws {ApiFailure} E_API_… when it does not succeed; the signal's reason
 */
export async function askJson(request: ApiRequest, asked: Asked, asking: Asking): Promise<unknown> {
  const { clock, signal, attempts, continues = false } = asking;
  const now = steadyTime(clock);
  const lastMs = now() + retryWithinMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askOnce(request, asked, { ...asking, continues: continues && attempt === 1 });
    } catch (error) {
      if (!(error instanceof ApiFailure && error.isTransient && attempt < attempts)) {
        throw error;
      }
      const waitMs = backoffMs(attempt, growth, clock.random(), error.retryAfterMs);
      if (now() + waitMs >= lastMs) {
        throw error;
      }
      await clock.sleep(waitMs, signal);
    }
  }
}

async function askOnce(
  request: ApiRequest,
  asked: Asked,
  { api, clock, signal, urgent = false, continues = false }: Asking,
): Promise<unknown> {
  const late = new AbortController();
  const done = new AbortController();
  const ticket = { kind: "request", urgent, continues } as const;
  try {
    const answer = await api.send(request, ticket, AbortSignal.any([signal, late.signal]));
    void clock.sleep(bodyMs, done.signal).then(
      () => late.abort(garbage(asked, `not whole after ${bodyMs / 1_000} s`)),
      () => undefined,
    );
    return await readAnswer(answer, asked);
  } finally {
    done.abort();
  }
}

/** One object by its path, exactly as the apiserver gives it. */
export async function getObject(
  path: string,
  asked: Asked,
  asking: Asking,
): Promise<KubernetesObject> {
  return asObject(await askJson({ method: "GET", path }, asked, asking), asked);
}

/** @throws {ApiFailure} E_API_ANSWER only when the apiserver's object is none that we can take */
export function asObject(value: unknown, asked: Asked): KubernetesObject {
  try {
    return parseObject(value);
  } catch (error) {
    if (error instanceof Failure) {
      throw garbage(asked, `an object that is not what the API defines (${error.code})`);
    }
    throw error;
  }
}

/** The JSON of a 2xx answer. */
async function readAnswer(answer: ApiAnswer, asked: Asked): Promise<unknown> {
  if (answer.status < 200 || answer.status >= 300) {
    throw await readFailure(answer, asked);
  }
  const text = await readText(answer, asked, bodyLimitBytes);
  refuseForeign(answer, asked);
  try {
    return parseJson(text);
  } catch {
    throw garbage(asked, `${Buffer.byteLength(text)} bytes that are not JSON`);
  }
}

/**
 * The failure that an answer without success stands for; of its body only Kubernetes' reason is told.
 *
 * Reads the body, or the start of one that is long; one that is cut short takes nothing from the status.
 */
export async function readFailure(answer: ApiAnswer, asked: Asked): Promise<ApiFailure> {
  const { status, headers } = answer;
  let text = "";
  try {
    text = await readText(answer, asked, statusLimitBytes);
  } catch (error) {
    if (!(error instanceof ApiFailure)) {
      throw error;
    }
  }
  const reason = reasonOf(text);
  // What decides over a generation must be an apiserver's own word: a proxy's 404 is no missing Secret.
  return status < 400 || (reason === undefined && [403, 404, 410].includes(status))
    ? garbage(asked, `HTTP status ${status}`)
    : failureOfStatus(status, asked, { reason, retryAfter: headers["retry-after"] });
}

/** An answer of something else than an apiserver: a proxy's login page, say. */
export function refuseForeign({ headers }: ApiAnswer, asked: Asked): void {
  const type = headers["content-type"] ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    const shown = /^[\w.+/-]{1,60}/.exec(type)?.[0] ?? "no content type";
    throw garbage(asked, `${shown} instead of application/json`);
  }
}

/** E_API_ANSWER: the answer makes no sense. */
export function garbage({ verb, resource, object }: Asked, found: string): ApiFailure {
  return new ApiFailure("E_API_ANSWER", {
    what: `the answer to ${verb} ${resource} ${object} is not an apiserver's`,
    found,
    next: "See what answers at the kubeconfig's server: a proxy or a load balancer in between?",
  });
}

/** The body as text; a body that is too large is as bad as none. */
async function readText({ body }: ApiAnswer, asked: Asked, limitBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of body) {
    total += chunk.byteLength;
    if (total > limitBytes) {
      throw garbage(asked, `more than ${limitBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function reasonOf(text: string): string | undefined {
  try {
    const status: unknown = JSON.parse(text);
    return isRecord(status) && status["kind"] === "Status" && typeof status["reason"] === "string"
      ? status["reason"]
      : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
