import type { Asked } from "../kube/api-failure.ts";
import type { Kind } from "../kube/list.ts";
import type { Collection } from "../kube/reflector.ts";
import type { Need } from "./needs.ts";

/** Plural names, as in paths and in RBAC. */
const plurals = {
  Secret: "secrets",
  ConfigMap: "configmaps",
  PersistentVolumeClaim: "persistentvolumeclaims",
  PersistentVolume: "persistentvolumes",
} as const;

/** Pure. All pods of one node. */
export function podsOf(node: string): Collection {
  return {
    path: "/api/v1/pods",
    query: selector("spec.nodeName", node),
    kind: core("Pod"),
    resource: "pods",
    object: `of node ${node}`,
    urgent: true,
  };
}

/** Pure. One Secret or ConfigMap, alone: the Node authorizer allows to watch it by its name only. */
export function collectionOf({ kind, namespace, name }: Need): Collection {
  return {
    path: `/api/v1/namespaces/${namespace}/${plurals[kind]}`,
    query: selector("metadata.name", name),
    kind: core(kind),
    resource: plurals[kind],
    object: `${namespace}/${name}`,
    urgent: false,
  };
}

/** Pure. The Services of a namespace; the one of the apiserver alone where no name is given but that. */
export function servicesOf(namespace: string, name?: string): Collection {
  return {
    path: `/api/v1/namespaces/${namespace}/services`,
    query: name === undefined ? "" : selector("metadata.name", name),
    kind: core("Service"),
    resource: "services",
    object: name === undefined ? `of namespace ${namespace}` : `${namespace}/${name}`,
    urgent: false,
  };
}

/** An object that can only be got, by its path. */
export interface Single {
  readonly path: string;
  readonly asked: Asked;
}

/** Pure. */
export function singleOf({ kind, namespace, name }: Need): Single {
  const scope = namespace === "" ? "" : `namespaces/${namespace}/`;
  return {
    path: `/api/v1/${scope}${plurals[kind]}/${name}`,
    asked: {
      verb: "get",
      resource: plurals[kind],
      object: namespace === "" ? name : `${namespace}/${name}`,
    },
  };
}

/** Pure. The Node object. */
export function nodeOf(name: string): Single {
  return {
    path: `/api/v1/nodes/${name}`,
    asked: { verb: "get", resource: "nodes", object: name },
  };
}

/** The addresses of the apiservers: Endpoints, for a node may not read EndpointSlices. */
export const apiserverEndpoints: Single = {
  path: "/api/v1/namespaces/default/endpoints/kubernetes",
  asked: { verb: "get", resource: "endpoints", object: "default/kubernetes" },
};

function core(kind: string): Kind {
  return { kind, apiVersion: "v1" };
}

function selector(field: string, value: string): string {
  return `fieldSelector=${encodeURIComponent(`${field}=${value}`)}`;
}
