import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import type { RestorePlan, VolumeEntry } from "../../src/model/plan.ts";
import { type PlanOptions, planRestore } from "../../src/plan/restore.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A pod as tests write it: defaults make it whole. */
export function pod(spec: Fields, metadata: Fields = {}, rest: Fields = {}) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      namespace: "prod",
      uid: "0d82ee9d-52ab-4d25-8856-d042918bc46b",
      ...metadata,
    },
    spec: { dnsPolicy: "Default", containers: [{ name: "main", image: "app:1" }], ...spec },
    ...rest,
  };
}

/** A pod with one container that has these fields. */
export function containerPod(container: Fields, spec: Fields = {}) {
  return pod({ containers: [{ name: "main", image: "app:1", ...container }], ...spec });
}

/** A Secret of namespace prod; values are text or bytes. */
export function secret(name: string, data: Readonly<Record<string, string | Uint8Array>>) {
  const encoded = Object.entries(data).map(([key, value]) => [
    key,
    Buffer.from(value).toString("base64"),
  ]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "prod" },
    data: Object.fromEntries(encoded),
  };
}

/** A ConfigMap of namespace prod. */
export function configMap(
  name: string,
  data: Readonly<Record<string, string>>,
  binaryData: Readonly<Record<string, string>> = {},
) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "prod" },
    data,
    binaryData,
  };
}

/** The Node that the tests' pods run on. */
export const node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "node1" },
  status: { nodeInfo: { kubeletVersion: "v1.37.2" }, allocatable: { cpu: "2", memory: "4Gi" } },
};

/** Plans the restore of all pods among the objects. */
export function planOf(
  objects: readonly Fields[],
  options: Partial<PlanOptions> & {
    readonly tokens?: readonly Fields[];
    readonly unminted?: readonly Fields[];
    readonly images?: readonly Fields[];
  } = {},
): RestorePlan {
  const { tokens = [], unminted = [], images, ...rest } = options;
  const items = objects.some(({ kind }) => kind === "Node") ? objects : [...objects, node];
  const checkpoint = parseCheckpoint({
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "node1", capturedAt: "2026-11-22T08:25:00Z", source: "files" },
    pods: items.filter(({ kind }) => kind === "Pod").map(({ metadata }) => metadata),
    unprojectable: [],
    tokens,
    unminted,
    ...(images === undefined ? {} : { images }),
    items,
  });
  return planRestore(checkpoint, {
    generation: 7,
    secretEnv: "inline",
    kubeletVersion: undefined,
    now: new Date("2026-11-22T09:00:00Z"),
    ...rest,
  });
}

/** The fields of a manifest that the tests look at. */
export interface Manifest {
  readonly metadata: Fields & {
    readonly annotations: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
  readonly spec: Fields & {
    readonly containers: readonly (Fields & {
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
    })[];
    readonly volumes: readonly (Fields & {
      readonly hostPath?: { readonly path: string; readonly type: string };
    })[];
  };
}

/** The only pod's manifest; fails when the pod was skipped. */
export function manifestOf(plan: RestorePlan): Manifest {
  const [skip] = plan.skipped;
  if (skip !== undefined) {
    throw new Error(`${skip.code}: ${skip.message}`);
  }
  return JSON.parse(plan.pods[0]?.manifest.text ?? "{}") as Manifest;
}

/** The only pod's environment, as `NAME=value` in order. */
export function envOf(plan: RestorePlan): readonly string[] {
  const { env = [] } = manifestOf(plan).spec.containers[0] ?? {};
  return env.map((entry) => `${entry.name}=${entry.value ?? JSON.stringify(entry)}`);
}

/** The codes with which pods were left out. */
export function skipsOf(plan: RestorePlan): readonly string[] {
  return plan.skipped.map(({ code }) => code);
}

/** One volume's tree, a line each: `path mode uid:gid` and the text, or the target of a link. */
export function treeOf(plan: RestorePlan, volume = "v"): readonly string[] {
  const tree = plan.pods[0]?.volumes.find(({ name }) => name === volume);
  return (tree?.entries ?? []).map(describeEntry);
}

function describeEntry(entry: VolumeEntry): string {
  const owner = `${entry.uid}:${entry.gid}`;
  const path = unstamped(entry.path);
  switch (entry.kind) {
    case "directory":
      return `${path}/ ${entry.mode.toString(8)} ${owner}`;
    case "file":
      return `${path} ${entry.mode.toString(8)} ${owner} ${Buffer.from(entry.bytes).toString("utf8")}`;
    case "link":
      return `${path} -> ${unstamped(entry.target)} ${owner}`;
  }
}

function unstamped(path: string): string {
  return path.replace(/^\.\.\d{4}[\d_]+\.\d+/, "..t");
}
