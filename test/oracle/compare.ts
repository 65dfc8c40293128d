import { isDeepStrictEqual } from "node:util";
import type { ContainerView, Entry, Json, MountView, PodView, VolumeView } from "./oracle.ts";
import { withoutTimestamp } from "./tree.ts";

/** One thing that a copy's container would see otherwise than its parent's. */
export interface Difference {
  readonly place: string;
  readonly parent: unknown;
  readonly copy: unknown;
}

/** The volume plugins whose volumes we write ourselves. */
const written = new Set(
  ["secret", "configmap", "downward-api", "projected"].map((name) => `kubernetes.io/${name}`),
);

/** Pure. All differences between what a kubelet makes of the parent and of its copy, disk apart. */
export function comparePods(parent: PodView, copy: PodView): Difference[] {
  const differences: Difference[] = [];
  const expect = (place: string, left: unknown, right: unknown): void => {
    if (!isDeepStrictEqual(left, right)) {
      differences.push({ place, parent: left, copy: right });
    }
  };
  // A pod on the host's network has the host's name (v1.37.2 `kuberuntime_sandbox.go`).
  if (parent.pod.spec["hostNetwork"] !== true) {
    expect("hostname", parent.hostname, copy.hostname);
    expect("domain", parent.domain, copy.domain);
  }
  // What is next to the containers' own groups: a PersistentVolume may bring one.
  expect("groups", parent.groups ?? [], copy.groups ?? []);
  expect("containers", parent.containers.map(nameOf), copy.containers.map(nameOf));
  for (const [index, left] of parent.containers.entries()) {
    const right = copy.containers[index];
    if (right === undefined) {
      continue;
    }
    const at = `${left.kind} ${left.name}`;
    expect(`${at} error`, left.error, right.error);
    for (const name of new Set([...Object.keys(left.env), ...Object.keys(right.env)])) {
      expect(`${at} env ${name}`, left.env[name], right.env[name]);
    }
    expect(`${at} command`, left.command, right.command);
    expect(`${at} args`, left.args, right.args);
    expect(`${at} ports`, left.ports, right.ports);
    expect(`${at} limits`, limitsOf(parent, left), limitsOf(copy, right));
    expect(`${at} mounts`, left.mounts.map(seenMount), right.mounts.map(seenMount));
  }
  for (const [path, left, right] of fieldDifferences(parent.pod.spec, copy.pod.spec, "spec")) {
    differences.push({ place: path, parent: left, copy: right });
  }
  return differences;
}

function nameOf({ kind, name }: ContainerView): string {
  return `${kind} ${name}`;
}

function limitsOf({ pod: { spec } }: PodView, { kind, name }: ContainerView): unknown {
  const containers = spec[kind === "init" ? "initContainers" : "containers"] as readonly Json[];
  const container = containers.find((one) => one["name"] === name);
  return (container?.["resources"] as Json | undefined)?.["limits"];
}

/** A claim and the host path that stands in for it are one source; so are a volume and our tree. */
function seenMount(mount: MountView): object {
  const { plugin, source, ...rest } = mount;
  const ours = written.has(plugin) || source.startsWith("/run/blackstart/pods/");
  const isHostPath =
    plugin === "kubernetes.io/host-path" || plugin === "kubernetes.io/local-volume";
  return {
    ...rest,
    volume: ours ? "written" : isHostPath ? `host ${source}` : `${plugin} ${source}`,
  };
}

/** Fields of the spec that the projection changes by design (static-pods.md §11) or that are compared above. */
const podFields = new Set([
  "volumes",
  "serviceAccountName",
  "serviceAccount",
  "automountServiceAccountToken",
  "imagePullSecrets",
  "nodeSelector",
  "hostname",
  "hostnameOverride",
  "dnsPolicy",
  "tolerations",
  "resources",
  "affinity",
  "topologySpreadConstraints",
  "readinessGates",
  "activeDeadlineSeconds",
]);
const containerFields = new Set([
  "env",
  "envFrom",
  "ports",
  "resources",
  "volumeMounts",
  "imagePullPolicy",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
]);

/** What neither rule covers must be carried through: path, parent's value, copy's value. */
function fieldDifferences(parent: Json, copy: Json, path: string): [string, unknown, unknown][] {
  const found: [string, unknown, unknown][] = [];
  for (const field of new Set([...Object.keys(parent), ...Object.keys(copy)])) {
    const [left, right] = [parent, copy].map((one) => withoutGroups(field, one[field]));
    if (path === "spec" && (field === "containers" || field === "initContainers")) {
      const [lefts, rights] = [(left ?? []) as Json[], (right ?? []) as Json[]];
      for (const [index, container] of lefts.entries()) {
        found.push(
          ...fieldDifferences(container, rights[index] ?? {}, `${path}.${field}[${index}]`),
        );
      }
    } else if (
      !(path === "spec" ? podFields : containerFields).has(field) &&
      !isDeepStrictEqual(left, right)
    ) {
      found.push([`${path}.${field}`, left, right]);
    }
  }
  return found;
}

/** Groups are compared as the sandbox has them. */
function withoutGroups(field: string, value: unknown): unknown {
  if (field !== "securityContext" || value === undefined) {
    return value;
  }
  const { supplementalGroups: _, ...rest } = value as Json;
  return rest;
}

/** Pure. The differences between the kubelet's volume and our tree. */
export function compareVolumes(
  name: string,
  parent: VolumeView,
  copy: readonly Entry[] | undefined,
): Difference[] {
  const place = `volume ${name}`;
  if (copy === undefined) {
    return [{ place, parent: "is there", copy: "is missing" }];
  }
  const left = withoutTimestamp(parent.entries ?? []);
  const right = withoutTimestamp(copy);
  const differences: Difference[] = [];
  for (const path of new Set([...left, ...right].map((entry) => entry.path))) {
    const [ours, theirs] = [right, left].map((entries) =>
      entries.find((entry) => entry.path === path),
    );
    if (
      !isDeepStrictEqual(comparable(theirs), comparable(ours)) &&
      !isAnyOwner(left, theirs, ours)
    ) {
      differences.push({ place: `${place}: ${path}`, parent: theirs, copy: ours });
    }
  }
  return differences;
}

function comparable(entry: Entry | undefined): object | undefined {
  if (entry === undefined) {
    return undefined;
  }
  const { path, type, mode, uid, gid, target, bytes = "" } = entry;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    target,
    bytes: withoutMoment(Buffer.from(bytes, "base64").toString("latin1")),
  };
}

/** Pure. A file with all annotations, without the line that tells when the kubelet first saw the pod. */
export function withoutMoment(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.startsWith('kubernetes.io/config.seen="'))
    .join("\n");
}

/**
 * The kubelet makes the link of a directory once, for whichever of its files comes first in the random
 * order of a map, and gives it that file's owner (v1.37.2 `atomic_writer.go: createUserVisibleFiles`).
 */
function isAnyOwner(
  parent: readonly Entry[],
  theirs: Entry | undefined,
  ours: Entry | undefined,
): boolean {
  if (theirs?.type !== "symlink" || ours === undefined) {
    return false;
  }
  const owners = parent.filter(
    ({ path, type }) => type === "file" && path.startsWith(`..time/${theirs.path}/`),
  );
  return (
    isDeepStrictEqual(comparable({ ...theirs, uid: ours.uid }), comparable(ours)) &&
    owners.some(({ uid }) => uid === ours.uid)
  );
}
