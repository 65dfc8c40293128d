import type { Skip } from "../../src/model/plan.ts";
import { comparePods, compareVolumes, type Difference } from "./compare.ts";
import type { Case } from "./generate.ts";
import type { Json, PodView, PodVolumes } from "./oracle.ts";
import type { Projection } from "./project.ts";

/** What the kubelet made of the parents. */
export interface Parents {
  readonly views: readonly PodView[];
  readonly volumes: readonly PodVolumes[];
}

/** How many cases ended how, and what was found wrong: kind → examples. */
export interface Verdict {
  readonly totals: Record<
    "compared" | "volumes" | "leftOut" | "parentDoesNotRun" | "refusedByApi",
    number
  >;
  readonly wrong: Map<string, string[]>;
}

/** Pure. A verdict on nothing yet. */
export function emptyVerdict(): Verdict {
  const totals = { compared: 0, volumes: 0, leftOut: 0, parentDoesNotRun: 0, refusedByApi: 0 };
  return { totals, wrong: new Map() };
}

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

/**
 * Adds one case to the verdict.
 *
 * @param hasTokens false when our side was given no tokens, so that their files are missing (W_TOKEN_MISSING)
 */
export function judge(
  { namespace, seed }: Case,
  parents: Parents,
  ours: Projection,
  hasTokens: boolean,
  { totals, wrong }: Verdict,
): void {
  const add = (kind: string, detail: unknown): void => {
    const example = `  seed ${seed}: ${JSON.stringify(detail)?.slice(0, 1500)}`;
    wrong.set(kind, [...(wrong.get(kind) ?? []), example]);
  };
  const isThis = (pod: { readonly namespace: string }): boolean => pod.namespace === namespace;
  const parent = parents.views.find(isThis);
  const volumes = Object.entries(parents.volumes.find(isThis)?.volumes ?? {});
  const skip = ours.skipped.find(isThis);
  const copy = ours.copies.pods.find(isThis);
  if (parent === undefined || parent.refused !== undefined) {
    totals.refusedByApi += 1;
    return;
  }
  const failure =
    failureOf(parent) ?? volumes.find(([, { error }]) => error !== undefined)?.[1].error;
  if (failure !== undefined) {
    totals.parentDoesNotRun += 1;
    // What fails in the copy as it failed in the parent is as it should be.
    const isSame = copy !== undefined && failureOf(copy) === failure;
    if (
      skip === undefined &&
      !isSame &&
      !runsAllTheSame.some(({ failure: known }) => known.test(failure))
    ) {
      add(`projected although the parent cannot run: ${failure.replace(namespace, "…")}`, failure);
    }
  } else if (skip !== undefined) {
    totals.leftOut += 1;
    if (!leftOut.some(({ code, covers }) => code === skip.code && covers(skip, parent))) {
      add(`left out: ${skip.code}`, skip);
    }
  } else if (copy === undefined) {
    const files = Object.entries(ours.copies.refused);
    add(
      "refused by the kubelet",
      files.find(([name]) => name.startsWith(`${namespace}_`)),
    );
  } else {
    totals.compared += 1;
    totals.volumes += volumes.length;
    const differences = [
      ...comparePods(parent, copy),
      ...volumes.flatMap(([name, view]) =>
        compareVolumes(name, view, ours.tree(hostPathOf(copy, name))).filter(
          ({ place }) => hasTokens || !leadsToToken(place, parent, name),
        ),
      ),
    ];
    for (const difference of differences) {
      if (!meant.some(({ covers }) => covers(difference, parent))) {
        add(difference.place.replace(/ env .*|: .*|\[\d\]/, "").replace(/v\d/, ""), difference);
      }
    }
  }
}

function failureOf(view: PodView): string | undefined {
  return view.error ?? view.containers.find(({ error }) => error !== undefined)?.error;
}

function hostPathOf({ pod: { spec } }: PodView, name: string): string {
  const volumes = spec["volumes"] as readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
  }[];
  return volumes.find((volume) => volume.name === name)?.hostPath?.path ?? "/absent";
}

/** True for a token's file, and for the directories and the link that lead to it. */
function leadsToToken(place: string, { pod: { spec } }: PodView, name: string): boolean {
  const volume = (spec["volumes"] as readonly Json[]).find((one) => one["name"] === name);
  const { sources = [] } = (volume?.["projected"] ?? {}) as { readonly sources?: readonly Json[] };
  const path = place.replace(/^volume [^:]*: (\.\.time\/)?/, "");
  return sources.some(({ serviceAccountToken: token }) =>
    `${(token as { readonly path?: string } | undefined)?.path ?? ""}/`.startsWith(`${path}/`),
  );
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
