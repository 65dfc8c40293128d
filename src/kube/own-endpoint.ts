import type { Endpoint, Outcome } from "../model/probe.ts";
import { isOwnAddress } from "./endpoint.ts";

/**
 * Asks this node's own apiserver over loopback where none of its interfaces has the recorded address.
 *
 * Pure. A packet to an address that this machine should have and does not have (yet) leaves the machine: at
 * best it is lost, at worst somebody else answers. Each host and port is kept once.
 */
export function localizeEndpoints(
  endpoints: readonly Endpoint[],
  interfaceAddresses: readonly string[],
): readonly Endpoint[] {
  const localized = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const isAway = endpoint.own && !isOwnAddress(endpoint.host, interfaceAddresses);
    const url = `https://127.0.0.1:${endpoint.port}${endpoint.prefix}`;
    const here: Endpoint = isAway ? { ...endpoint, host: "127.0.0.1", url } : endpoint;
    const same = localized.get(here.url);
    localized.set(here.url, {
      ...(same ?? here),
      serverNames: [...new Set([...(same?.serverNames ?? []), ...endpoint.serverNames])],
    });
  }
  return [...localized.values()];
}

/**
 * What every endpoint would answer, where that is known without asking: all are this machine's own, and nothing
 * listens on their ports. undefined when they have to be asked.
 *
 * Pure. The commonest cold boot then needs no socket, and not the code that asks.
 */
export function refusedByAll(
  endpoints: readonly Endpoint[],
  listeners: ReadonlySet<number> | undefined,
): readonly Outcome[] | undefined {
  const isKnown = endpoints.every(({ own, port }) => own && listeners?.has(port) === false);
  return isKnown
    ? endpoints.map((endpoint) => ({
        kind: "refused",
        detail: "nothing listens on the port",
        endpoint,
      }))
    : undefined;
}
