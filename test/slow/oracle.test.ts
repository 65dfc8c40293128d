import assert from "node:assert/strict";
import { suite } from "uvu";
import { type Case, generateCase, kubernetesService, node } from "../oracle/generate.ts";
import { emptyVerdict, judge, type Verdict } from "../oracle/judge.ts";
import {
  askEnvironments,
  askVolumes,
  type Bundle,
  buildOracle,
  type Json,
  type PodView,
} from "../oracle/oracle.ts";
import { projectByPlan, withRendered } from "../oracle/project.ts";

/**
 * Thousands of generated pods, each seen twice by the code of the real kubelet: as the pod of an API with all
 * its objects, and as the static pod that we make of it with no API at all. Both must see the same.
 *
 * ORACLE_CASES sets how many, ORACLE_SEED the first seed; one case is `ORACLE_CASES=1 ORACLE_SEED=…`.
 */
const test = suite("oracle");
const count = Number(process.env["ORACLE_CASES"] ?? 2000);
const firstSeed = Number(process.env["ORACLE_SEED"] ?? 1);
const batchSize = 250;
const built = buildOracle();
const isRoot = process.getuid?.() === 0;

if (built.kind === "missing") {
  console.log(`SKIPPED the comparison with the kubelet's code: ${built.why}`);
  test.skip("generated pods");
} else {
  if (!isRoot) {
    console.log("SKIPPED the comparison with the kubelet's volume plugins: not root");
  }
  const oracle = built.file;

  test(`${count} pods from seed ${firstSeed}: a planned copy sees what its parent saw`, () => {
    const verdict = emptyVerdict();
    for (let at = 0; at < count; at += batchSize) {
      const cases = casesFrom(firstSeed + at, Math.min(batchSize, count - at));
      const bundle = bundleOf(cases);
      const parents = askParents(oracle, bundle);
      // By turns as a person wrote the pods, and as an apiserver gives them back: with all defaults.
      const isServed = (at / batchSize) % 2 === 1;
      const ours = projectByPlan(oracle, isServed ? asServed(bundle, parents.views) : bundle);
      for (const one of cases) {
        judge(one, parents, ours, true, verdict);
      }
    }
    conclude(verdict, count);
  });

  const rendered = Math.min(count, batchSize);
  for (const [format, seed] of [
    ["JSON", firstSeed],
    ["YAML", firstSeed + rendered],
  ] as const) {
    test(`${rendered} pods from seed ${seed}, rendered from ${format}: a copy sees what its parent saw`, () => {
      const verdict = emptyVerdict();
      const cases = casesFrom(seed, rendered);
      const bundle = bundleOf(cases);
      const parents = askParents(oracle, bundle);
      withRendered(oracle, bundle, format, (ours) => {
        for (const one of cases) {
          judge(one, parents, ours, false, verdict);
        }
      });
      conclude(verdict, rendered);
    });
  }
}

function casesFrom(seed: number, length: number): Case[] {
  return Array.from({ length }, (_, index) => generateCase(seed + index));
}

function bundleOf(cases: readonly Case[]): Bundle {
  return {
    node: "node1",
    gates: { AtomicWriteVolumeUserFields: true },
    objects: [node, kubernetesService, ...cases.flatMap(({ objects }) => objects)],
    tokens: cases.flatMap(({ namespace, name: pod, seed }) =>
      ["", "vault"].map((audience) => ({
        namespace,
        pod,
        audience,
        token: `token-${seed}-${audience}`,
      })),
    ),
    podIP: "10.1.2.3",
  };
}

function asServed(bundle: Bundle, views: readonly PodView[]): Bundle {
  const written = bundle.objects.filter((object) => (object as Json)["kind"] !== "Pod");
  const served = views.map(({ pod: { metadata, spec } }) => {
    const annotations = { ...(metadata["annotations"] as Json | undefined) };
    // The kubelet's own, made for its eyes only.
    const {
      "kubernetes.io/config.source": _,
      "kubernetes.io/config.seen": __,
      ...rest
    } = annotations;
    return {
      kind: "Pod",
      metadata: { ...metadata, annotations: rest },
      spec,
      status: { phase: "Running" },
    };
  });
  return { ...bundle, objects: [...written, ...served] };
}

function askParents(oracle: string, bundle: Bundle) {
  return {
    views: askEnvironments(oracle, bundle),
    volumes: isRoot ? askVolumes(oracle, bundle) : [],
  };
}

function conclude({ totals, wrong }: Verdict, expected: number): void {
  console.log(`oracle: ${JSON.stringify(totals)}`);
  const lines = [...wrong].map(
    ([kind, examples]) => `${examples.length} x ${kind}\n${examples.slice(0, 3).join("\n")}`,
  );
  assert.ok(wrong.size === 0, `differences:\n${lines.join("\n")}`);
  if (expected >= 100) {
    assert.ok(totals.compared > expected * 0.5, "most generated pods are compared");
  }
}

test.run();
