import { parseJson } from "../model/json.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { type ApiFailure, type Asked, failureOfStatus } from "./api-failure.ts";
import { asObject, garbage } from "./request.ts";

/** One event of a watch. */
export type WatchEvent =
  | { readonly kind: "present"; readonly object: KubernetesObject }
  | { readonly kind: "deleted"; readonly object: KubernetesObject }
  /** Nothing has happened up to here. */
  | { readonly kind: "bookmark"; readonly resourceVersion: string };

/** The longest event, bytes: twice what etcd stores. */
const lineLimitBytes = 16 * 1_048_576;

/**
 * The events of a watch's body, each as soon as its line is whole.
 *
 * @throws {ApiFailure} E_API_GONE when the apiserver says that the resourceVersion is too old; the failure of
 *   any other error that it reports; E_API_ANSWER only when a line makes no sense or the last one is cut short
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  asked: Asked,
): AsyncGenerator<WatchEvent> {
  let pending: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      pending.push(chunk.subarray(start, end));
      const line = Buffer.concat(pending).toString("utf8");
      pending = [];
      length = 0;
      start = end + 1;
      if (line.trim() !== "") {
        yield parseEvent(line, asked);
      }
    }
    if (start < chunk.length) {
      // A copy (a Buffer's `slice` is none): the rest of a line must not keep a large chunk alive.
      pending.push(new Uint8Array(chunk.subarray(start)));
      length += chunk.length - start;
      if (length > lineLimitBytes) {
        throw garbage(asked, `an event of more than ${lineLimitBytes} bytes`);
      }
    }
  }
  if (length > 0) {
    throw garbage(asked, "an event that is cut short");
  }
}

/** Takes one line of a watch. */
function parseEvent(line: string, asked: Asked): WatchEvent {
  const event = parseLine(line, asked);
  const { type, object } = event;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
      return { kind: "present", object: asObject(object, asked) };
    case "DELETED":
      return { kind: "deleted", object: asObject(object, asked) };
    case "BOOKMARK":
      return { kind: "bookmark", resourceVersion: versionOf(object, asked) };
    case "ERROR":
      throw failureOfError(object, asked);
    default:
      throw garbage(asked, "an event of an unknown type");
  }
}

interface Line {
  readonly type: unknown;
  readonly object: unknown;
}

function parseLine(line: string, asked: Asked): Line {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch {
    throw garbage(asked, "an event that is not JSON");
  }
  if (typeof value !== "object" || value === null || !("type" in value) || !("object" in value)) {
    throw garbage(asked, "an event without type or object");
  }
  return { type: value.type, object: value.object };
}

/** The resourceVersion of an object or a bookmark. */
export function versionOf(object: unknown, asked: Asked): string {
  const metadata =
    typeof object === "object" && object !== null && "metadata" in object
      ? object.metadata
      : undefined;
  const version =
    typeof metadata === "object" && metadata !== null && "resourceVersion" in metadata
      ? metadata.resourceVersion
      : undefined;
  if (typeof version !== "string" || version === "") {
    throw garbage(asked, "an event without resourceVersion");
  }
  return version;
}

function failureOfError(status: unknown, asked: Asked): ApiFailure {
  if (typeof status !== "object" || status === null || !("code" in status)) {
    return garbage(asked, "an error without a status");
  }
  const { code } = status;
  const reason =
    "reason" in status && typeof status.reason === "string" ? status.reason : undefined;
  if (typeof code !== "number" || code < 400 || code > 599) {
    return garbage(asked, "an error without a status");
  }
  // Both words stand for a resourceVersion that is no longer kept.
  return failureOfStatus(reason === "Expired" || reason === "Gone" ? 410 : code, asked, { reason });
}
