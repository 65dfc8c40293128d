import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { asStored } from "../../src/capture/as-stored.ts";
import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import type { PodPlan, RestorePlan, VolumeEntry } from "../../src/model/plan.ts";
import { planRestore } from "../../src/plan/restore.ts";
import { askCopies, type Bundle, type CopiesView, type Entry, type Json } from "./oracle.ts";

/** Plans the restore of every pod of the bundle, with its tokens. */
export function planBundle(bundle: Bundle): RestorePlan {
  const items = bundle.objects.map((object) => asStored(object as Json));
  const checkpoint = parseCheckpoint({
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: bundle.node, capturedAt: "2026-11-25T08:00:00Z", source: "apiserver" },
    pods: items.filter(({ kind }) => kind === "Pod").map((pod) => pod["metadata"]),
    unprojectable: [],
    tokens: bundle.tokens.map((token) => ({ ...token, expiresAt: "2027-11-25T08:00:00Z" })),
    items,
  });
  return planRestore(checkpoint, {
    generation: 1,
    secretEnv: "inline",
    kubeletVersion: "v1.37.2",
    now: new Date("2026-11-25T09:00:00Z"),
  });
}

/** What a kubelet without an apiserver makes of the plan's manifests. */
export function askPlanned(file: string, plan: RestorePlan, bundle: Bundle): CopiesView {
  const dir = mkdtempSync(join(tmpdir(), "oracle-manifests-"));
  try {
    mkdirSync(join(dir, "manifests"));
    for (const { manifest } of plan.pods) {
      writeFileSync(join(dir, "manifests", basename(manifest.file)), manifest.text);
    }
    const node = bundle.objects.filter((object) => (object as Json)["kind"] === "Node");
    return askCopies(file, join(dir, "manifests"), { ...bundle, objects: node, gates: {} });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Pure. A planned volume as the oracle lists one; undefined when the plan has no such volume. */
export function plannedTree(pod: PodPlan, volume: string): readonly Entry[] | undefined {
  return pod.volumes.find(({ name }) => name === volume)?.entries.map(asListed);
}

function asListed(entry: VolumeEntry): Entry {
  const { path, uid, gid } = entry;
  switch (entry.kind) {
    case "directory":
      return { path, type: "dir", mode: octal(entry.mode), uid, gid };
    case "link":
      return { path, type: "symlink", mode: "0777", uid, gid, target: entry.target };
    case "file":
      return {
        path,
        type: "file",
        mode: octal(entry.mode),
        uid,
        gid,
        sha256: createHash("sha256").update(entry.bytes).digest("hex"),
        bytes: Buffer.from(entry.bytes).toString("base64"),
      };
  }
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
