import type { KubernetesObject, Pod } from "../model/kubernetes.ts";

/** The apiserver's secure port when no flag says another. Source: Kubernetes v1.37.2, --secure-port. */
const defaultPort = 6443;

/** What a checkpoint's objects say about apiservers and about this node. */
export interface CheckpointedServers {
  /** `https://address:port` of each apiserver behind Service `default/kubernetes`. */
  readonly servers: readonly string[];
  /** The port of the apiserver among this node's pods; undefined when there is none. */
  readonly ownPort: number | undefined;
  readonly nodeAddresses: readonly string[];
  /** The cluster's CA bundle, from a ConfigMap `kube-root-ca.crt`. */
  readonly caPem: string | undefined;
}

/**
 * Finds the apiservers in a checkpoint's objects.
 *
 * Pure. What is missing or has another shape is passed over: the probe goes on with what there is.
 */
export function checkpointedServers(items: readonly KubernetesObject[]): CheckpointedServers {
  const servers = items.flatMap((item) => {
    if (item.kind === "Endpoints" && isKubernetesService(item, item.metadata.name)) {
      return listOf(item, "subsets").flatMap((subset) =>
        urls(
          listOf(subset, "addresses").map((address) => at(address, "ip")),
          subset,
        ),
      );
    }
    const service = item.metadata.labels?.["kubernetes.io/service-name"];
    if (item.kind === "EndpointSlice" && isKubernetesService(item, service)) {
      return urls(
        listOf(item, "endpoints").flatMap((end) => listOf(end, "addresses")),
        item,
      );
    }
    return [];
  });
  const pods = items.filter((item): item is Pod => item.kind === "Pod");
  // Another node's address must not pass for our own: only the node that the pods ran on counts.
  const names = new Set(pods.map(({ spec }) => spec.nodeName));
  const nodes = items.filter(({ kind, metadata }) => kind === "Node" && names.has(metadata.name));
  const nodeAddresses = [
    ...nodes.flatMap((node) =>
      listOf(at(node, "status"), "addresses")
        .filter((address) => ["InternalIP", "ExternalIP"].includes(String(at(address, "type"))))
        .map((address) => at(address, "address")),
    ),
    ...pods.flatMap((pod) => [
      pod.status?.hostIP,
      ...(pod.status?.hostIPs ?? []).map((hostIp) => hostIp.ip),
    ]),
  ].filter((address) => typeof address === "string" && address !== "");
  const authority = items.find(
    ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "kube-root-ca.crt",
  );
  const caPem = at(at(authority, "data"), "ca.crt");
  return {
    servers: [...new Set(servers)],
    ownPort: pods.map(apiserverPort).find((port) => port !== undefined),
    nodeAddresses: [...new Set(nodeAddresses.map(String))],
    caPem: typeof caPem === "string" ? caPem : undefined,
  };
}

function isKubernetesService(item: KubernetesObject, name: string | undefined): boolean {
  return item.metadata.namespace === "default" && name === "kubernetes";
}

function urls(addresses: readonly unknown[], holder: unknown): readonly string[] {
  const ports = listOf(holder, "ports").map((port) => at(port, "port"));
  return addresses.flatMap((address) =>
    ports.flatMap((port) => {
      if (typeof address !== "string" || typeof port !== "number") {
        return [];
      }
      return [`https://${address.includes(":") ? `[${address}]` : address}:${port}`];
    }),
  );
}

/** The secure port of a pod that runs kube-apiserver. */
function apiserverPort(pod: Pod): number | undefined {
  for (const { command, args } of pod.spec.containers) {
    const words = [...(command ?? []), ...(args ?? [])];
    if (words.some((word) => /(^|[/\s])kube-apiserver(\s|$)/.test(word))) {
      const port = Number(/--secure-port[= ](\d{1,5})\b/.exec(words.join(" "))?.[1] ?? defaultPort);
      return port > 0 && port < 65_536 ? port : undefined;
    }
  }
  return undefined;
}

function at(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined;
}

function listOf(value: unknown, key: string): readonly unknown[] {
  const list = at(value, key);
  return Array.isArray(list) ? list : [];
}
