import type { Endpoint } from "../model/probe.ts";
import { parseServer } from "../model/server-url.ts";

/** A name that each apiserver's certificate carries, as pods verify it. */
const serviceName = "kubernetes.default.svc";

/** Pure. True for loopback and for each of `ownAddresses`, whatever way the address is written. */
export function isOwnAddress(host: string, ownAddresses: readonly string[]): boolean {
  if (host === "localhost" || host.endsWith(".localhost")) {
    return true;
  }
  const address = canonicalAddress(host);
  if (address === undefined) {
    return false;
  }
  return (
    /^(127\.|0\.0\.0\.0$)/.test(address) ||
    ["::", "::1"].includes(address) ||
    ownAddresses.some((own) => canonicalAddress(own) === address)
  );
}

/** By pattern and not by `isIP`: a cold boot with no endpoint but its own need not load node:net. */
function canonicalAddress(host: string): string | undefined {
  if (!host.includes(":")) {
    return /^(\d{1,3}\.){3}\d{1,3}$/.test(host) ? host : undefined;
  }
  const [address] = host.split("%", 1);
  const url = URL.parse(`https://[${address}]`);
  return url?.hostname.slice(1, -1);
}

/** What the parts of the node know about apiservers. */
export interface KnownServers {
  /** Of the kubelet's kubeconfig. */
  readonly kubeconfig:
    | { readonly server: string; readonly tlsServerName?: string | undefined }
    | undefined;
  /** Addresses `https://…` of the checkpointed Service `default/kubernetes`. */
  readonly checkpoint: readonly string[];
  /** `probe.endpoints` of the configuration. */
  readonly config: readonly string[];
  /** The secure port of this node's own apiserver; undefined when none is known to run here. */
  readonly ownPort: number | undefined;
  /** Of this node's interfaces and of the checkpointed node. */
  readonly ownAddresses: readonly string[];
}

/**
 * Every endpoint to ask, each host and port once, this node's own first.
 *
 * Pure. A certificate of a checkpointed or own endpoint may carry the Service's name in place of the
 * address: that is how pods verify it.
 *
 * @returns `refused` holds those that cannot be asked, with the reason
 */
export function collectEndpoints(known: KnownServers): {
  readonly endpoints: readonly Endpoint[];
  readonly refused: readonly {
    readonly url: string;
    readonly origin: Endpoint["origin"];
    readonly problem: string;
  }[];
} {
  const ownServer = known.ownPort === undefined ? [] : [`https://127.0.0.1:${known.ownPort}`];
  const candidates: readonly (readonly [Endpoint["origin"], string])[] = [
    ...ownServer.map((url) => ["own", url] as const),
    ...(known.kubeconfig === undefined ? [] : [["kubeconfig", known.kubeconfig.server] as const]),
    ...known.config.map((url) => ["config", url] as const),
    ...known.checkpoint.map((url) => ["checkpoint", url] as const),
  ];
  const endpoints = new Map<string, Endpoint>();
  const refused: { url: string; origin: Endpoint["origin"]; problem: string }[] = [];
  for (const [origin, url] of candidates) {
    const server = parseServer(url);
    if ("problem" in server) {
      refused.push({ url, origin, problem: server.problem });
      continue;
    }
    const key = `${server.host} ${server.port}`;
    const same = endpoints.get(key);
    const names = [
      ...(same?.serverNames ?? []),
      ...(origin === "kubeconfig"
        ? [known.kubeconfig?.tlsServerName ?? server.host]
        : [server.host, serviceName]),
    ];
    endpoints.set(key, {
      ...(same ?? { ...server, origin, own: isOwnAddress(server.host, known.ownAddresses) }),
      serverNames: [...new Set(names)],
    });
  }
  return { endpoints: [...endpoints.values()], refused };
}
