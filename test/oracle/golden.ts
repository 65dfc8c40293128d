// Writes test/fixtures/oracle/*.json: generated pods, and what the kubelet's own code makes of them, for the
// test that runs without Go. Who owns the link of a directory may change from run to run. As root, with Go:
//
//     node_modules/.bin/node test/oracle/golden.ts
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withoutMoment } from "./compare.ts";
import { type Case, generateCase, kubernetesService, node } from "./generate.ts";
import {
  askEnvironments,
  askVolumes,
  type Bundle,
  buildOracle,
  type Entry,
  type Json,
  type PodView,
  type PodVolumes,
} from "./oracle.ts";
import { withoutTimestamp } from "./tree.ts";

const wanted = 40;
const dir = join(import.meta.dirname, "../fixtures/oracle");
const built = buildOracle();
if (built.kind === "missing") {
  throw new Error(built.why);
}
const cases = Array.from({ length: 1000 }, (_, index) => ({
  ...generateCase(500_000 + index),
})).map((one) => ({ ...one, objects: [node, kubernetesService, ...referenced(one)] }));
const bundle: Bundle = {
  node: "node1",
  gates: { AtomicWriteVolumeUserFields: true },
  objects: [node, kubernetesService, ...cases.flatMap(({ objects }) => objects.slice(2))],
  tokens: cases.flatMap(tokensOf),
  podIP: "10.1.2.3",
};
const views = askEnvironments(built.file, bundle);
const volumes = askVolumes(built.file, bundle);

mkdirSync(dir, { recursive: true });
for (const file of readdirSync(dir)) {
  rmSync(join(dir, file));
}
let written = 0;
for (const one of cases) {
  const view = views.find(({ namespace }) => namespace === one.namespace);
  const disk = volumes.find(({ namespace }) => namespace === one.namespace);
  if (written < wanted && view !== undefined && disk !== undefined && isTelling(view, disk)) {
    const { pod: _, ...seen } = view;
    const golden = { ...one, tokens: tokensOf(one), seen, volumes: stable(disk) };
    writeFileSync(join(dir, `${one.namespace}.json`), `${JSON.stringify(golden, undefined, 1)}\n`);
    written += 1;
  }
}
console.log(`${written} pods in ${dir}`);

function tokensOf({ namespace, name: pod, seed }: Case) {
  return ["", "vault"].map((audience) => ({
    namespace,
    pod,
    audience,
    token: `token-${seed}-${audience}`,
  }));
}

/** The pod and what it may refer to by name; a ClusterIP Service is in every environment. */
function referenced({ objects }: Case): Json[] {
  const text = JSON.stringify(objects.at(-1));
  return objects.filter(({ kind, metadata }) => {
    const { name } = metadata as { readonly name: string };
    const named = name.replace(/^case-\d+-/, "");
    return kind === "Pod" || kind === "Service" || text.includes(JSON.stringify(named));
  });
}

/** A pod that runs, has something to tell and fits a page or two. */
function isTelling(view: PodView, disk: PodVolumes): boolean {
  const trees = Object.values(disk.volumes);
  const failed =
    view.refused ??
    view.error ??
    view.containers.find(({ error }) => error !== undefined) ??
    trees.find(({ error }) => error !== undefined);
  // No copy can have a dotted host name beside a subdomain (W_HOSTNAME).
  const isNamed = !view.hostname.includes(".") || view.pod.spec["subdomain"] === undefined;
  const text = JSON.stringify(view);
  // Neither can bytes that are no text be in a manifest, and odd paths we refuse.
  const isShort = text.length < 16_000 && !/base64|\\u0000|slashed|slash\/"/.test(text);
  return failed === undefined && isNamed && trees.length >= 2 && isShort;
}

function stableEntry({ sha256: _, ...entry }: Entry): Entry {
  const text = Buffer.from(entry.bytes ?? "", "base64").toString("latin1");
  return entry.bytes === undefined
    ? entry
    : { ...entry, bytes: Buffer.from(withoutMoment(text), "latin1").toString("base64") };
}

/** Names of directories and the moment when a kubelet saw the pod differ on every run. */
function stable({ volumes: trees }: PodVolumes): object {
  return Object.fromEntries(
    Object.entries(trees).map(([name, { entries }]) => [
      name,
      { entries: withoutTimestamp(entries ?? []).map(stableEntry) },
    ]),
  );
}
