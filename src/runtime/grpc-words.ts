/** Pure. The text of a header; undefined where there is none. */
export function headerText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Pure. Why a server has refused a call: the message of a status is percent-encoded. */
export function refusalOf(words: string): string {
  try {
    return decodeURIComponent(words) || "it gives no reason";
  } catch {
    return words;
  }
}

/** Pure. Why a connection or a call was lost, in words. */
export function problemOf(error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  // A call that waits for its connection is only told that it is off; why is the cause.
  if (code === "ERR_HTTP2_STREAM_CANCEL" && error.cause instanceof Error) {
    return problemOf(error.cause);
  }
  switch (code) {
    case "ENOENT":
      return "there is no such socket";
    case "ECONNREFUSED":
      return "nobody listens there";
    case "EACCES":
      return "permission denied";
    case "ERR_STREAM_PREMATURE_CLOSE":
      return "it has closed the connection";
    default:
      return typeof code === "string" ? code : error.message;
  }
}
