import type { Finding } from "../model/probe.ts";

/** Pure. What a TCP error tells about the other side. */
export function socketFinding(error: unknown): Finding {
  const detail = codeOf(error);
  switch (detail) {
    case "ECONNREFUSED":
      return { kind: "refused", detail: "" };
    case "ETIMEDOUT":
      return { kind: "timeout", detail };
    case "ECONNRESET":
    case "EPIPE":
    case "ECONNABORTED":
      return { kind: "reset", detail };
    default:
      return { kind: "unreachable", detail };
  }
}

/** Pure. An error's code, never its message: that may quote what was received. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code.slice(0, 80)
    : "unknown error";
}
