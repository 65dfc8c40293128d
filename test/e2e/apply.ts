import { type Api, demand, type Json } from "./api.ts";

/** Owners before what they own, and what admission asks for before what is admitted. */
const order = [
  "Namespace",
  "PriorityClass",
  "StorageClass",
  "Node",
  "ServiceAccount",
  "Secret",
  "ConfigMap",
  "PersistentVolumeClaim",
  "PersistentVolume",
  "DaemonSet",
  "Deployment",
  "ReplicaSet",
  "StatefulSet",
  "Job",
];

/** What a server gives to each object by itself. */
const serverFields = [
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "managedFields",
  "selfLink",
];

/** The labels by which a Job knows its pods; the server makes them of the Job's new uid. */
const jobLabels = ["batch.kubernetes.io/controller-uid", "controller-uid"];

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly deletionTimestamp?: string;
}

interface ApiObject extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata & Json;
  readonly spec?: Json;
}

/**
 * Creates objects that were read from another cluster, and what they need there.
 *
 * No controller runs, so it makes the namespaces and ServiceAccounts that are missing, and each namespace's
 * `default` ServiceAccount and `kube-root-ca.crt`. Uids are the server's; where one object names
 * another's uid (owners, claims), the new one is put in. A status is written through its subresource. A pod
 * with a deletionTimestamp is deleted at the end, and stays as long as its node has not confirmed it.
 * What exists already is replaced.
 *
 * @param ca  PEM, for `kube-root-ca.crt`
 * @returns the objects as the server has them, in the order of their creation
 * @throws {Error} at the first that the server refuses
 */
export async function applyObjects(
  api: Api,
  ca: string,
  objects: readonly unknown[],
): Promise<readonly Json[]> {
  const given = (objects as readonly ApiObject[]).toSorted((a, b) => rank(a) - rank(b));
  const resources = new Map<string, Promise<ReadonlyMap<string, Resource>>>();
  const resourceOf = async ({ apiVersion, kind, metadata }: ApiObject) => {
    const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const known = resources.get(group) ?? discover(api, group);
    resources.set(group, known);
    const resource = (await known).get(kind);
    if (resource === undefined) {
      throw new Error(`the server has no ${kind} in ${apiVersion}`);
    }
    const { name, isNamespaced, hasStatus } = resource;
    const { namespace = "default" } = metadata;
    const collection = `${group}/${isNamespaced ? `namespaces/${namespace}/` : ""}${name}`;
    return { collection, hasStatus };
  };

  const uids = new Map<string, string>();
  const made: { readonly path: string; readonly object: ApiObject }[] = [];
  for (const object of given.filter(({ kind }) => kind === "Namespace")) {
    await put(api, (await resourceOf(object)).collection, withoutServerFields(object));
  }
  for (const namespace of new Set(given.flatMap(({ metadata }) => metadata.namespace ?? []))) {
    await prepareNamespace(api, ca, namespace);
  }
  for (const object of given) {
    const { collection, hasStatus } = await resourceOf(object);
    if (object.kind === "Pod") {
      await ensureServiceAccount(api, object);
    }
    const wanted = renewUids(withoutServerFields(object), uids);
    const created = await put(api, collection, wanted);
    if (object.kind === "Node") {
      // A new node is given the taint "not ready"; a changed one is not.
      await put(api, collection, wanted);
    }
    const path = `${collection}/${object.metadata.name}`;
    const { uid } = object.metadata;
    if (uid !== undefined && created.metadata.uid !== undefined) {
      uids.set(uid, created.metadata.uid);
    }
    await putSubresources(api, path, renewUids(object, uids), hasStatus);
    made.push({ path, object });
  }
  for (const { path, object } of made) {
    if (object.kind === "Pod" && object.metadata.deletionTimestamp !== undefined) {
      await demand(api, "DELETE", path);
    }
  }
  return await Promise.all(made.map(async ({ path }) => (await demand(api, "GET", path)).body));
}

/** Makes the namespace, its `default` ServiceAccount and its `kube-root-ca.crt`, where they are missing. */
export async function prepareNamespace(api: Api, ca: string, name: string): Promise<void> {
  const metadata = { name };
  await demand(api, "POST", "/api/v1/namespaces", { metadata }, [409]);
  const inside = `/api/v1/namespaces/${name}`;
  await ensureServiceAccount(api, { metadata: { namespace: name } });
  const configMap = { metadata: { name: "kube-root-ca.crt" }, data: { "ca.crt": ca } };
  await demand(api, "POST", `${inside}/configmaps`, configMap, [409]);
}

interface OfPod {
  readonly metadata: { readonly namespace?: string };
  readonly spec?: Json;
}

async function ensureServiceAccount(api: Api, { metadata, spec = {} }: OfPod): Promise<void> {
  const name = spec["serviceAccountName"] ?? "default";
  const path = `/api/v1/namespaces/${metadata.namespace ?? "default"}/serviceaccounts`;
  await demand(api, "POST", path, { metadata: { name } }, [409]);
}

interface Resource {
  readonly name: string;
  readonly isNamespaced: boolean;
  readonly hasStatus: boolean;
}

async function discover(api: Api, group: string): Promise<ReadonlyMap<string, Resource>> {
  const { body } = await demand(api, "GET", group);
  const list = body["resources"] as readonly { name: string; kind: string; namespaced: boolean }[];
  const names = new Set(list.map(({ name }) => name));
  return new Map(
    list
      .filter(({ name }) => !name.includes("/"))
      .map(({ name, kind, namespaced }) => [
        kind,
        { name, isNamespaced: namespaced, hasStatus: names.has(`${name}/status`) },
      ]),
  );
}

/** Creates it, or replaces the one that is there. */
async function put(api: Api, collection: string, object: ApiObject): Promise<ApiObject> {
  const path = `${collection}/${object.metadata.name}`;
  // Asked first, as a second Service of the same address is not a conflict but invalid.
  let present = await demand(api, "GET", path, undefined, [404]);
  if (present.status === 404) {
    const created = await demand(api, "POST", collection, object, [409]);
    if (created.status !== 409) {
      return created.body as ApiObject;
    }
    // A controller has made it in between.
    present = await demand(api, "GET", path);
  }
  const { uid, resourceVersion } = (present.body as ApiObject).metadata;
  const replaced = { ...object, metadata: { ...object.metadata, uid, resourceVersion } };
  return (await demand(api, "PUT", path, replaced)).body as ApiObject;
}

async function putSubresources(
  api: Api,
  path: string,
  object: ApiObject,
  hasStatus: boolean,
): Promise<void> {
  const containers = object.spec?.["ephemeralContainers"];
  if (object.kind === "Pod" && containers !== undefined) {
    const current = (await demand(api, "GET", path)).body as ApiObject;
    const changed = { ...current, spec: { ...current.spec, ephemeralContainers: containers } };
    await demand(api, "PUT", `${path}/ephemeralcontainers`, changed);
  }
  const status = object["status"];
  if (status !== undefined && hasStatus) {
    const current = (await demand(api, "GET", path)).body;
    await demand(api, "PUT", `${path}/status`, { ...current, status });
  }
}

function rank({ kind }: ApiObject): number {
  const index = order.indexOf(kind);
  return kind === "Pod" ? order.length + 1 : index < 0 ? order.length : index;
}

/** What may be sent to create it. */
function withoutServerFields(object: ApiObject): ApiObject {
  const { status: _, ...rest } = object;
  const metadata = Object.fromEntries(
    Object.entries(object.metadata).filter(([field]) => !serverFields.includes(field)),
  ) as ApiObject["metadata"];
  const spec = object.spec === undefined ? {} : { spec: creatableSpec(object.kind, object.spec) };
  return { ...rest, metadata, ...spec };
}

function creatableSpec(kind: string, spec: Json): Json {
  if (kind === "Pod") {
    const { ephemeralContainers: _, ...rest } = spec;
    return rest;
  }
  if (kind === "Job") {
    const { selector: _, ...rest } = spec;
    return JSON.parse(
      JSON.stringify(rest, (key, value) => (jobLabels.includes(key) ? undefined : value)),
    );
  }
  return spec;
}

function renewUids(object: ApiObject, uids: ReadonlyMap<string, string>): ApiObject {
  return JSON.parse(JSON.stringify(object), (_, value) =>
    typeof value === "string" ? (uids.get(value) ?? value) : value,
  ) as ApiObject;
}
