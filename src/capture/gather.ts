import { Failure } from "../errors.ts";
import { describeObject, type KubernetesObject, type Pod } from "../model/kubernetes.ts";
import { type Reference, referencesOf, serviceAccountOf } from "./references.ts";
import { checkSize } from "./size.ts";

/** A reference that leads nowhere. */
export interface MissingReference {
  readonly pod: string;
  readonly field: string;
  /** What was looked for and not found, without any value. */
  readonly found: string;
}

/** One or more pods refer to what is not there; carries all of them. */
export class MissingReferences extends Failure {
  readonly missing: readonly MissingReference[];

  constructor(missing: readonly MissingReference[]) {
    const shown = missing.slice(0, 10).map(({ pod, field, found }) => `${pod} ${field}: ${found}`);
    const more = missing.length > 10 ? `; and ${missing.length - 10} more` : "";
    super("E_REF_MISSING", {
      what: `${missing.length} reference${missing.length === 1 ? " leads" : "s lead"} nowhere`,
      found: shown.join("; ") + more,
      next: "Add the objects, or mark the references optional",
    });
    this.missing = missing;
  }
}

/**
 * Gathers the objects that selected pods need, and no others.
 *
 * Pure. Gives the pods first, then what they refer to (Secrets, ConfigMaps, claims and their volumes),
 * `kube-root-ca.crt` and the Services of their namespaces, their ServiceAccounts and RuntimeClasses,
 * Service, Endpoints and EndpointSlices of `default/kubernetes`, and the Node; sorted by kind,
 * namespace and name, each once. Secrets that no pod refers to never come along.
 *
 * @throws {Failure} E_REF_MISSING only when a required object or key is not in `all` (`MissingReferences`);
 *   E_DUP_KEY only when a ConfigMap has one key as text and as bytes; E_TOO_BIG only when an object is
 *   larger than the API allows
 */
export function gatherObjects(
  pods: readonly Pod[],
  all: readonly KubernetesObject[],
  node: string,
): readonly KubernetesObject[] {
  const index = new Map(all.map((object) => [indexKey(object), object]));
  const find = (kind: string, namespace: string, name: string) =>
    index.get(`${kind}/${namespace}/${name}`);
  const gathered = new Set<KubernetesObject>();
  const missing: MissingReference[] = [];
  for (const pod of pods) {
    for (const reference of referencesOf(pod)) {
      const { objects, lacking } = follow(reference, find);
      for (const object of objects) {
        gathered.add(object);
      }
      if (lacking !== undefined && !reference.optional) {
        missing.push({ pod: describeObject(pod), field: reference.field, found: lacking });
      }
    }
  }
  if (missing.length > 0) {
    throw new MissingReferences(missing);
  }
  for (const object of all.filter((object) => isSurrounding(object, pods, node))) {
    gathered.add(object);
  }
  const sorted: KubernetesObject[] = [...[...pods].sort(byKey), ...[...gathered].sort(byKey)];
  sorted.forEach(checkSize);
  return sorted;
}

type Find = (kind: string, namespace: string, name: string) => KubernetesObject | undefined;

interface Followed {
  readonly objects: readonly KubernetesObject[];
  /** What is not there, when something is not. */
  readonly lacking?: string;
}

function follow(reference: Reference, find: Find): Followed {
  const { kind, namespace, name, keys, binary } = reference;
  const object = find(kind, namespace, name);
  if (object === undefined) {
    const what = name === "" ? `names no ${kind}` : `no ${kind} ${namespace}/${name}`;
    return { objects: [], lacking: what };
  }
  if (kind === "PersistentVolumeClaim") {
    return followClaim(object, find);
  }
  const present = new Set([
    ...keysIn(object["data"]),
    ...(binary ? keysIn(object["binaryData"]) : []),
  ]);
  const absent = keys.filter((key) => !present.has(key));
  return absent.length === 0
    ? { objects: [object] }
    : {
        objects: [object],
        lacking: `${describeObject(object)} has no key ${describeKeys(absent)}`,
      };
}

function followClaim(claim: KubernetesObject, find: Find): Followed {
  const spec = claim["spec"];
  const volumeName =
    typeof spec === "object" && spec !== null && "volumeName" in spec ? spec.volumeName : undefined;
  if (typeof volumeName !== "string" || volumeName === "") {
    return { objects: [claim], lacking: `${describeObject(claim)} is not bound to a volume` };
  }
  const volume = find("PersistentVolume", "", volumeName);
  return volume === undefined
    ? { objects: [claim], lacking: `no PersistentVolume ${volumeName}` }
    : { objects: [claim, volume] };
}

/** What a node needs besides the references: to find the apiserver, and to look like the parent. */
function isSurrounding(object: KubernetesObject, pods: readonly Pod[], node: string): boolean {
  const { namespace = "", name, labels } = object.metadata;
  const inNamespace = pods.some((pod) => (pod.metadata.namespace ?? "default") === namespace);
  const isApiserver = namespace === "default" && name === "kubernetes";
  switch (object.kind) {
    case "Service":
      return inNamespace || isApiserver;
    case "Endpoints":
      return isApiserver;
    case "EndpointSlice":
      return namespace === "default" && labels?.["kubernetes.io/service-name"] === "kubernetes";
    case "ConfigMap":
      return inNamespace && name === "kube-root-ca.crt";
    case "ServiceAccount":
      return pods.some(
        (pod) =>
          (pod.metadata.namespace ?? "default") === namespace && serviceAccountOf(pod) === name,
      );
    case "RuntimeClass":
      return pods.some(({ spec }) => spec.runtimeClassName === name);
    case "Node":
      return name === node;
    default:
      return false;
  }
}

const clusterKinds = new Set(["Node", "PersistentVolume", "RuntimeClass"]);

function indexKey({ kind, metadata }: KubernetesObject): string {
  const namespace = clusterKinds.has(kind) ? "" : (metadata.namespace ?? "default");
  return `${kind}/${namespace}/${metadata.name}`;
}

function byKey(a: KubernetesObject, b: KubernetesObject): number {
  const [left, right] = [indexKey(a), indexKey(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function keysIn(map: unknown): readonly string[] {
  return typeof map === "object" && map !== null ? Object.keys(map) : [];
}

function describeKeys(keys: readonly string[]): string {
  return keys.map((key) => JSON.stringify(key).slice(0, 260)).join(", ");
}
