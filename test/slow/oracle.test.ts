import assert from "node:assert/strict";
import { suite } from "uvu";
import type { Skip } from "../../src/model/plan.ts";
import { comparePods, compareVolumes, type Difference } from "../oracle/compare.ts";
import { type Case, generateCase, kubernetesService, node } from "../oracle/generate.ts";
import {
  askEnvironments,
  askVolumes,
  type Bundle,
  buildOracle,
  type Json,
  type PodView,
} from "../oracle/oracle.ts";
import { askPlanned, planBundle, plannedTree } from "../oracle/project.ts";

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

/** Differences that are meant, each with its reason. */
const meant: readonly {
  readonly reason: string;
  readonly covers: (difference: Difference, parent: PodView) => boolean;
}[] = [
  {
    reason: "W_HOSTNAME: no field can name a dotted host in a pod that has a subdomain",
    covers: ({ place }, { hostname, pod: { spec } }) =>
      place === "hostname" && hostname.includes(".") && spec["subdomain"] !== undefined,
  },
];

/** Pods that run under an API and are left out by us, each with its reason. */
const leftOut: readonly {
  readonly code: string;
  readonly reason: string;
  readonly covers: (skip: Skip, parent: PodView) => boolean;
}[] = [
  {
    code: "E_PATH_ITEM",
    reason: "the kubelet cleans a path with empty components, we refuse it as a mistake",
    covers: (_, { pod: { spec } }) =>
      /"path":"(twice\/\/slashed|slash\/)"/.test(JSON.stringify(spec["volumes"])),
  },
  {
    code: "E_ENV_BYTES",
    reason: "a manifest is JSON, which holds no bytes that are not UTF-8; no variable holds a NUL",
    covers: (_, { containers }) =>
      containers
        .flatMap(({ env }) => Object.values(env))
        .some((value) => typeof value !== "string" || value.includes("\0")),
  },
  {
    code: "E_ENV_BYTES",
    reason: "the same, overridden by `env`: an entry before may refer to it",
    covers: ({ message }, { pod: { spec } }) => isOverridden(message, spec),
  },
];

/** Why a parent may not run while its copy does, each with its reason. */
const runsAllTheSame: readonly { readonly failure: RegExp; readonly reason: string }[] = [
  {
    failure: /no space left/,
    reason: "the size of the kubelet's tmpfs follows the pod's memory limit; ours is one for all",
  },
  {
    failure: /container \w+ not found/,
    reason: "W_DOWNWARD: a file about a container that is not there is left out",
  },
];

if (built.kind === "missing") {
  console.log(`SKIPPED the comparison with the kubelet's code: ${built.why}`);
} else {
  if (!isRoot) {
    console.log("SKIPPED the comparison with the kubelet's volume plugins: not root");
  }
  test(`${count} pods from seed ${firstSeed}: a copy sees what its parent saw`, () => {
    const report = new Map<string, string[]>();
    const totals = { compared: 0, refusedByApi: 0, parentDoesNotRun: 0, leftOut: 0, volumes: 0 };
    for (let first = firstSeed; first < firstSeed + count; first += batchSize) {
      const size = Math.min(batchSize, firstSeed + count - first);
      compareBatch(
        built.file,
        Array.from({ length: size }, (_, index) => generateCase(first + index)),
        report,
        totals,
      );
    }
    console.log(`oracle: ${JSON.stringify(totals)}`);
    const lines = [...report].map(
      ([kind, examples]) => `${examples.length} x ${kind}\n${examples.slice(0, 3).join("\n")}`,
    );
    assert.ok(report.size === 0, `differences:\n${lines.join("\n")}`);
    assert.ok(totals.compared > count * 0.5, "most generated pods are compared");
  });
}

type Totals = Record<
  "compared" | "refusedByApi" | "parentDoesNotRun" | "leftOut" | "volumes",
  number
>;

function compareBatch(
  file: string,
  cases: readonly Case[],
  report: Map<string, string[]>,
  totals: Totals,
): void {
  const bundle: Bundle = {
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
  const parents = askEnvironments(file, bundle);
  const volumes = isRoot ? askVolumes(file, bundle) : [];
  const plan = planBundle(bundle);
  const copies = askPlanned(file, plan, bundle);
  for (const { namespace, seed } of cases) {
    const add = (kind: string, detail: unknown): void => {
      const example = `  seed ${seed}: ${JSON.stringify(detail)?.slice(0, 1500)}`;
      report.set(kind, [...(report.get(kind) ?? []), example]);
    };
    const parent = parents.find((view) => view.namespace === namespace);
    const parentVolumes = Object.entries(
      volumes.find((view) => view.namespace === namespace)?.volumes ?? {},
    );
    const planned = plan.pods.find((pod) => pod.namespace === namespace);
    const skip = plan.skipped.find((pod) => pod.namespace === namespace);
    const copy = copies.pods.find((view) => view.namespace === namespace);
    if (parent === undefined || parent.refused !== undefined) {
      totals.refusedByApi += 1;
      continue;
    }
    const failure =
      whyNotRunning(parent) ??
      parentVolumes.find(([, { error }]) => error !== undefined)?.[1].error;
    if (failure !== undefined) {
      totals.parentDoesNotRun += 1;
      // What fails in the copy as it failed in the parent is as it should be.
      const isSame = copy !== undefined && whyNotRunning(copy) === failure;
      if (
        skip === undefined &&
        !isSame &&
        !runsAllTheSame.some(({ failure: known }) => known.test(failure))
      ) {
        add(
          `projected although the parent cannot run: ${failure.replace(/case-\d+/, "…")}`,
          failure,
        );
      }
      continue;
    }
    if (skip !== undefined) {
      totals.leftOut += 1;
      if (!leftOut.some(({ code, covers }) => code === skip.code && covers(skip, parent))) {
        add(`left out: ${skip.code}`, skip);
      }
      continue;
    }
    if (copy === undefined || planned === undefined) {
      add(
        "refused by the kubelet",
        Object.entries(copies.refused).find(([name]) => name.startsWith(`${namespace}_`)),
      );
      continue;
    }
    totals.compared += 1;
    totals.volumes += parentVolumes.length;
    const found = [
      ...comparePods(parent, copy),
      ...parentVolumes.flatMap(([name, view]) =>
        compareVolumes(name, view, plannedTree(planned, name)),
      ),
    ].filter((difference) => !meant.some(({ covers }) => covers(difference, parent)));
    for (const difference of found) {
      add(difference.place.replace(/ env .*|: .*|\[\d\]/, "").replace(/v\d/, ""), difference);
    }
  }
}

/** True when the variable that the message is about is set again further down in its container. */
function isOverridden(message: string, spec: Json): boolean {
  const [, list = "", at, from, index, key] =
    /spec\.(\w+)\[(\d+)\]\.env(From)?\[(\d+)\][^\s,]*(?:, key (\S+)\))?/.exec(message) ?? [];
  const container = (spec[list] as Json[])[Number(at)];
  const env = (container?.["env"] ?? []) as { readonly name: string }[];
  return from === undefined
    ? env.slice(Number(index) + 1).some(({ name }) => name === env[Number(index)]?.name)
    : env.some(({ name }) => name.endsWith(key ?? "?"));
}

function whyNotRunning(view: PodView): string | undefined {
  return view.error ?? view.containers.find(({ error }) => error !== undefined)?.error;
}

test.run();
