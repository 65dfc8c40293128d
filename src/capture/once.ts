import type { Failure } from "../errors.ts";
import { ApiFailure } from "../kube/api-failure.ts";
import { listObjects } from "../kube/list.ts";
import type { Collection } from "../kube/reflector.ts";
import type { Asking } from "../kube/request.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import type { View } from "./follower.ts";
import { keyOf, type Need, needsOf } from "./needs.ts";
import { podsOf, type Single, servicesOf, singleOf } from "./resources.ts";
import { standing, visit } from "./visit.ts";

/** How many requests are under way at once. */
const lanes = 8;
/** How often all is read again because pods were replaced meanwhile. */
const rounds = 3;

/**
 * Reads once what a `Follower` keeps up to date: the pods of a node and what the chosen ones need.
 *
 * @throws {ApiFailure} E_API_… when anything cannot be read, but for needed objects that the apiserver refuses to
 *   show or does not have: those are the pod's own trouble; E_API_GONE when the pods kept changing
 */
export async function viewOnce(
  node: string,
  select: (pods: readonly KubernetesObject[]) => readonly Pod[],
  asking: Asking,
): Promise<View> {
  const pods = podsOf(node);
  let before = await listOf(pods, asking);
  for (let round = 1; round <= rounds; round += 1) {
    const view = await viewOf(node, before, select, asking);
    const after = await listOf(pods, asking);
    if (identityOf(after) === identityOf(before)) {
      return view;
    }
    before = after;
  }
  throw new ApiFailure("E_API_GONE", {
    what: `the pods of node ${node} changed while they were read`,
    found: `${rounds} times in a row`,
    next: "Run it again when the node is quiet, or leave it to `capture --watch`",
  });
}

async function viewOf(
  node: string,
  pods: readonly KubernetesObject[],
  select: (pods: readonly KubernetesObject[]) => readonly Pod[],
  asking: Asking,
): Promise<View> {
  const chosen = select(pods);
  const refused = new Map<string, Failure>();
  const objects: KubernetesObject[] = [];
  const read = async (key: string, single: Single, isOptional: boolean): Promise<void> => {
    const found = await visit(single, asking);
    if (found.kind === "present") {
      objects.push(found.object);
    } else if (found.kind === "failed") {
      if (found.failure.code !== "E_API_FORBIDDEN") {
        throw found.failure;
      }
      if (!isOptional) {
        refused.set(key, found.failure);
      }
    }
  };
  const readAll = (needs: readonly Need[]) =>
    eachOf(needs, (need) => read(keyOf(need), singleOf(need), false));

  const first = needsOf(chosen, []);
  await eachOf(standing(node), ([key, single]) => read(key, single, true));
  await readAll([...first.watched, ...first.fetched]);
  const second = needsOf(chosen, objects);
  await readAll(second.fetched.filter(({ kind }) => kind === "PersistentVolume"));
  const services = first.serviceNamespaces.map((namespace) => servicesOf(namespace));
  if (!first.serviceNamespaces.includes("default")) {
    services.push(servicesOf("default", "kubernetes"));
  }
  await eachOf(services, async (collection) => {
    objects.push(...(await listOf(collection, asking)));
  });
  return { pods, objects, pending: [], refused, failures: [] };
}

async function listOf(
  { path, query, kind, resource, object }: Collection,
  asking: Asking,
): Promise<readonly KubernetesObject[]> {
  const asked = { verb: "list", resource, object } as const;
  return (await listObjects(path, query, kind, asked, { ...asking, urgent: true })).items;
}

/** Which pods there are; not how they are. */
function identityOf(pods: readonly KubernetesObject[]): string {
  return pods
    .map(({ metadata }) => metadata.uid ?? metadata.name)
    .sort()
    .join(" ");
}

async function eachOf<Item>(
  items: readonly Item[],
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const lane = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      await run(item);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
