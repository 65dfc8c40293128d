import type { ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { ApiAnswer } from "./api.ts";
import type { ApiFailure } from "./api-failure.ts";
import { brokenAnswer, lostFailure } from "./connection-failure.ts";
import type { LiveSession } from "./http2-session.ts";

/** Source: RFC 9113 §7. */
const errorNames = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];
const refused = errorNames.indexOf("REFUSED_STREAM");
const cancelled = errorNames.indexOf("CANCEL");

/**
 * Sends one request on a session and resolves with its answer's head.
 *
 * Rejects with the signal's reason once that is aborted, and the server is told (RST_STREAM CANCEL).
 *
 * @throws {ApiFailure} E_API_UNREACHABLE when the session is lost or retired, the server refuses the
 * request, or no head comes within `headMs`; E_API_ANSWER when the stream ends in another way
 */
export function sendRequest(
  live: LiveSession,
  { headers, body }: { readonly headers: OutgoingHttpHeaders; readonly body: string | undefined },
  headMs: number,
  signal: AbortSignal,
): Promise<ApiAnswer> {
  signal.throwIfAborted();
  const stream = live.http2.request(headers, { endStream: body === undefined });
  const isWhole = watchEnd(stream);
  const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();

  const cancel = (): void => stream.close(cancelled);
  const abort = (): void => {
    cancel();
    reject(signal.reason);
  };
  const timer = setTimeout(() => {
    cancel();
    reject(lostFailure(live.where, `no answer within ${headMs / 1_000} s`, unanswered));
  }, headMs);
  signal.addEventListener("abort", abort, { once: true });
  // What went wrong is read from the session and the stream's own code.
  stream.on("error", () => undefined);
  stream.once("close", () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    reject(streamFailure(live, stream));
  });
  stream.once("response", (head) => {
    clearTimeout(timer);
    live.heard();
    const body = readBody(live, stream, isWhole, signal);
    resolve({ ...headOf(head), body });
  });
  if (body !== undefined) {
    stream.end(body);
  }
  return promise;
}

const unanswered = "the apiserver does not answer a request";

/**
 * Tells whether the answer came to its own end (END_STREAM).
 *
 * Node ends a stream in the same way when it is cut off with NO_ERROR. Only the order tells: a stream
 * that was cut off is closed before its end is pushed, a whole one after.
 * Source: Node v24.21.0 `lib/internal/http2/core.js: onStreamClose, onSessionHeaders`.
 */
function watchEnd(stream: ClientHttp2Stream): () => boolean {
  let isWhole = false;
  const push = stream.push.bind(stream);
  stream.push = (chunk, encoding) => {
    isWhole ||= chunk === null && !stream.closed && !stream.destroyed;
    return push(chunk, encoding);
  };
  return () => isWhole;
}

async function* readBody(
  live: LiveSession,
  stream: ClientHttp2Stream,
  isWhole: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  let wake: () => void = () => undefined;
  const woken = (): void => wake();
  for (const event of ["readable", "end", "close"]) {
    stream.on(event, woken);
  }
  try {
    while (!stream.readableEnded && !stream.destroyed && !signal.aborted) {
      const chunk: Buffer | null = stream.read();
      if (chunk === null) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else {
        live.heard();
        yield chunk;
      }
    }
    signal.throwIfAborted();
    if (!isWhole()) {
      throw streamFailure(live, stream);
    }
  } finally {
    stream.close(cancelled);
  }
}

function headOf(head: IncomingHttpHeaders): Pick<ApiAnswer, "status" | "headers"> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(head)) {
    if (!name.startsWith(":") && value !== undefined) {
      headers[name] = Array.isArray(value) ? value.join(", ") : String(value);
    }
  }
  return { status: Number(head[":status"]), headers };
}

function streamFailure(live: LiveSession, stream: ClientHttp2Stream): ApiFailure {
  const lost = live.lost(stream.errored);
  if (lost !== undefined) {
    return lost;
  }
  const { rstCode } = stream;
  if (rstCode === refused || (live.isRetired() && rstCode !== undefined && rstCode === 0)) {
    return lostFailure(live.where, "it takes no new requests (REFUSED_STREAM)", unanswered);
  }
  return brokenAnswer(live.where, `cut short (${errorNames[rstCode ?? 0] ?? "unknown"})`);
}
