import { isIP } from "node:net";
import type { Endpoint } from "../model/probe.ts";
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
    const isAway =
      endpoint.own && isIP(endpoint.host) !== 0 && !isOwnAddress(endpoint.host, interfaceAddresses);
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
