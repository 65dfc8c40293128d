import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { asStored } from "../../src/capture/as-stored.ts";
import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import type { RestorePlan, Skip, VolumeEntry } from "../../src/model/plan.ts";
import { planRestore } from "../../src/plan/restore.ts";
import {
  askCopies,
  askYaml,
  type Bundle,
  type CopiesView,
  type Entry,
  type Json,
} from "./oracle.ts";
import { listTree } from "./tree.ts";

/** What our side made of a bundle. */
export interface Projection {
  readonly skipped: readonly Skip[];
  /** What a kubelet without an apiserver makes of the manifests. */
  readonly copies: CopiesView;
  /** The tree at a host path; undefined when there is none. */
  readonly tree: (hostPath: string) => readonly Entry[] | undefined;
}

/** Pure. Plans the restore of every pod of the bundle, with its tokens. */
export function planBundle(bundle: Pick<Bundle, "node" | "objects" | "tokens">): RestorePlan {
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

/** What a kubelet makes of the planned copies; writes nothing but their manifests. */
export function projectByPlan(oracle: string, bundle: Bundle): Projection {
  const plan = planBundle(bundle);
  const trees = new Map(
    plan.pods.flatMap(({ volumes }) => volumes).map(({ dir, entries }) => [dir, entries]),
  );
  return inTemporary((dir) => {
    mkdirSync(join(dir, "manifests"));
    for (const { manifest } of plan.pods) {
      writeFileSync(join(dir, "manifests", basename(manifest.file)), manifest.text);
    }
    return {
      skipped: plan.skipped,
      copies: askCopies(oracle, join(dir, "manifests"), nodeOnly(bundle)),
      tree: (hostPath) => trees.get(hostPath)?.map(asListed),
    };
  });
}

/** Runs `blackstart render` on the bundle's objects, which hold no tokens, and passes what it wrote to `look`. */
export function withRendered(
  oracle: string,
  bundle: Bundle,
  format: "JSON" | "YAML",
  look: (rendered: Projection) => void,
): void {
  inTemporary((dir) => {
    const input = join(dir, format === "JSON" ? "objects.json" : "objects.yaml");
    const out = join(dir, "out");
    writeFileSync(
      input,
      format === "JSON"
        ? JSON.stringify({ apiVersion: "v1", kind: "List", items: bundle.objects })
        : askYaml(oracle, bundle),
    );
    const main = join(import.meta.dirname, "../../src/main.ts");
    const options = ["--node", bundle.node, "--select", "all", "--out", out, "-o", "json"];
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const run = spawnSync(process.execPath, [main, "render", "--from", input, ...options], {
      encoding: "utf8",
      maxBuffer: 1 << 30,
      env,
    });
    if (run.status !== 0) {
      throw new Error(`render ends with ${run.status}: ${run.stderr}`);
    }
    const { skipped } = JSON.parse(run.stdout) as { readonly skipped: readonly Skip[] };
    look({
      skipped,
      copies: askCopies(oracle, join(out, "run/blackstart/manifests"), nodeOnly(bundle)),
      tree: (path) => (existsSync(join(out, path)) ? listTree(join(out, path)) : undefined),
    });
  });
}

function inTemporary<T>(use: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "oracle-"));
  try {
    return use(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** At a cold boot a kubelet knows its node, with the gates of its own configuration. */
function nodeOnly(bundle: Bundle): Bundle {
  const objects = bundle.objects.filter((object) => (object as Json)["kind"] === "Node");
  return { ...bundle, objects, tokens: [], gates: {} };
}

/** Pure. A planned entry as the oracle lists one. */
export function asListed(entry: VolumeEntry): Entry {
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
