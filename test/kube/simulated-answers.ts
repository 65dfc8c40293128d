import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import type { Stream } from "./simulated-connection.ts";
import type { Change } from "./simulated-store.ts";

/** Kubernetes' word for an answer without success. */
export function statusOf(code: number, reason: string): unknown {
  const message = "do not show: s3cret";
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

const lines = new WeakMap<KubernetesObject, Map<string, Uint8Array>>();

/** An event as a line of a watch; made once for all who watch. */
export function eventLine({ type, object }: Change): Uint8Array {
  const known = lines.get(object) ?? new Map<string, Uint8Array>();
  const line = known.get(type) ?? Buffer.from(`${JSON.stringify({ type, object })}\n`);
  lines.set(object, known.set(type, line));
  return line;
}

/** Ends a body in one of three ways. */
export function endAs(stream: Stream, ends: "whole" | "cut" | "open"): void {
  if (ends === "whole") {
    stream.end();
  } else if (ends === "cut") {
    stream.cut();
  }
}

/** A stream that lets only so many bytes through. */
export function truncating(stream: Stream, bytes: number, ends: "whole" | "cut"): Stream {
  let left = bytes;
  return {
    request: stream.request,
    get isOver() {
      return stream.isOver;
    },
    get onOver() {
      return stream.onOver;
    },
    set onOver(over: () => void) {
      stream.onOver = over;
    },
    write: (chunk) => {
      const part = Buffer.from(chunk).subarray(0, left);
      left -= part.length;
      stream.write(part);
      if (left === 0) {
        endAs(stream, ends);
      }
    },
    end: () => endAs(stream, ends),
    cut: (failure) => stream.cut(failure),
  };
}
