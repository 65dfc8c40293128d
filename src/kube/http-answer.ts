import type { Finding } from "../model/probe.ts";

/** The most of an answer that is ever read, headers and body. */
export const answerLimitBytes = 16_384;
/** The most of a body that is looked at. */
const bodyLimitBytes = 8_192;

/**
 * A line of the apiserver's /readyz that says etcd cannot be reached.
 *
 * Source: k8s.io/apiserver v0.37.2 `pkg/server/healthz/healthz.go: handleRootHealth` writes
 * `[-]<check> failed: reason withheld` and HTTP 500; `pkg/server/options/etcd.go` names the checks
 * "etcd" and "etcd-readiness".
 */
const etcdFailed = /^\[-\]etcd(-readiness)? failed\b/m;

/**
 * Reads what came of an HTTP/1 answer so far; undefined while more is needed.
 *
 * Pure. Any status counts as soon as its line is whole; only of a 5xx is the body looked at.
 *
 * @param complete  true when nothing more will come
 */
export function readAnswer(bytes: Buffer, complete: boolean): Finding | undefined {
  const text = bytes.toString("latin1", 0, answerLimitBytes);
  const lineEnd = text.indexOf("\n");
  if (lineEnd < 0 && text.length < 1_024 && "HTTP/1.".startsWith(text.slice(0, 7)) && !complete) {
    return undefined;
  }
  const status = Number(
    /^HTTP\/1\.[01] ([1-5]\d\d)(?=[ \r\n]|$)/.exec(text.slice(0, lineEnd))?.[1],
  );
  if (lineEnd < 0 || Number.isNaN(status)) {
    return { kind: "not-http", detail: "" };
  }
  if (status < 500) {
    return { kind: "answered", status };
  }
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd >= 0) {
    const head = text.slice(0, headEnd);
    const raw = text.slice(headEnd + 4, headEnd + 4 + bodyLimitBytes);
    const chunked = /^transfer-encoding:\s*chunked\s*$/im.test(head);
    if (etcdFailed.test(chunked ? withoutChunkSizes(raw) : raw)) {
      return { kind: "no-store", status };
    }
    const length = Number(/^content-length:\s*(\d{1,9})\s*$/im.exec(head)?.[1] ?? Number.NaN);
    if (raw.length >= Math.min(length || 0, bodyLimitBytes) && !Number.isNaN(length)) {
      return { kind: "answered", status };
    }
    if (raw.length >= bodyLimitBytes || (chunked && /(^|\r\n)0+\r\n/.test(raw))) {
      return { kind: "answered", status };
    }
  }
  return complete || text.length >= answerLimitBytes ? { kind: "answered", status } : undefined;
}

/** The body of a chunked answer, as far as it came. Source: RFC 9112 §7.1. */
function withoutChunkSizes(raw: string): string {
  let body = "";
  let rest = raw;
  for (;;) {
    const size = /^([0-9a-f]{1,8})[^\r\n]*\r\n/i.exec(rest);
    const length = Number.parseInt(size?.[1] ?? "0", 16);
    if (size === null || length === 0) {
      return body;
    }
    body += rest.slice(size[0].length, size[0].length + length);
    rest = rest.slice(size[0].length + length + 2);
  }
}
