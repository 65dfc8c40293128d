import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Entry, Json, Text } from "./oracle.ts";

const dir = join(import.meta.dirname, "../fixtures/setA");

/** What a real kubelet gave one container, as it was recorded. */
export interface Recorded {
  readonly file: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly env: Readonly<Record<string, Text>>;
  readonly argv: readonly string[];
  readonly hostname: string;
  /** Mount path → what lay there. */
  readonly volumeMounts: Readonly<
    Record<
      string,
      {
        readonly listing?: readonly Entry[];
        readonly volumeMount: { readonly name: string; readonly subPath?: string };
        readonly volume: Json;
      }
    >
  >;
}

/** The recorded objects and containers; undefined where this checkout has no recording. */
export function readRecording():
  | { readonly objects: readonly Json[]; readonly containers: readonly Recorded[] }
  | undefined {
  if (!existsSync(join(dir, "golden"))) {
    return undefined;
  }
  const read = (path: string): unknown => JSON.parse(readFileSync(join(dir, path), "utf8"));
  const objects = readdirSync(join(dir, "objects"))
    .sort()
    .flatMap((file) => (read(`objects/${file}`) as { items: Json[] }).items);
  const containers = readdirSync(join(dir, "golden"))
    .sort()
    .map((file) => ({ ...(read(`golden/${file}`) as Omit<Recorded, "file">), file }));
  return { objects, containers };
}
