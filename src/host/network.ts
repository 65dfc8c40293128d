import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { NetworkFacts } from "../model/probe.ts";

/** Route flags. Source: Linux v6.12 `include/uapi/linux/route.h`, `ipv6_route.h`. */
const routeUp = 0x0001;
const routeReject = 0x0200;

/**
 * Reads this machine's addresses (of interfaces that are up) and, when asked, its main routing tables.
 *
 * Where netlink is closed to this process, a route stands for an address.
 */
export function observeNetwork(): NetworkFacts {
  let routes: RoutingTable | undefined;
  const hasRouteTo = (host: string): boolean => {
    routes ??= parseRoutes(
      readTable("/proc/self/net/route"),
      readTable("/proc/self/net/ipv6_route"),
    );
    return routes.reaches(host);
  };
  try {
    const addresses = Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      .filter(({ internal, address }) => !internal && !isLinkLocal(address))
      .map(({ address }) => address);
    return { addresses, hasRouteTo };
  } catch {
    return { addresses: hasRouteTo("any") ? ["unknown"] : [], hasRouteTo };
  }
}

/** An interface gives itself such an address; it says nothing about a network. */
function isLinkLocal(address: string): boolean {
  return /^(169\.254\.|fe[89ab])/i.test(address);
}

function readTable(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

/** Destinations that the kernel has a route to. */
export interface RoutingTable {
  /** True for an address inside one; for a name, when there is any at all. */
  reaches(host: string): boolean;
}

/**
 * Reads the kernel's two routing tables.
 *
 * Pure. Routes that reject, that lead to loopback or to link-local and multicast destinations are left out.
 * Source: Linux v6.12 `net/ipv4/fib_trie.c: fib_route_seq_show` (addresses in host byte order, here little
 * endian), `net/ipv6/route.c: rt6_info_route`.
 */
export function parseRoutes(ipv4: string, ipv6: string): RoutingTable {
  // Only here, where another machine is asked: the module is a tenth of what a restore costs.
  const { BlockList, isIP } = process.getBuiltinModule("node:net");
  // Apart: in one list an IPv6 default route would cover IPv4 as well.
  const [table4, table6] = [new BlockList(), new BlockList()];
  let isEmpty = true;
  for (const line of ipv4.split("\n").slice(1)) {
    const [device, destination, , flags, , , , mask] = line.trim().split(/\s+/);
    if (destination === undefined || mask === undefined || device === "lo" || !isUsable(flags)) {
      continue;
    }
    const bytes = Buffer.from(destination, "hex").reverse();
    if (bytes.length === 4 && !isLinkLocal(bytes.join("."))) {
      table4.addSubnet(bytes.join("."), prefixOf(mask), "ipv4");
      isEmpty = false;
    }
  }
  for (const line of ipv6.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [destination = "", prefix = "", , , , , , , flags, device] = fields;
    if (destination.length !== 32 || device === "lo" || !isUsable(flags)) {
      continue;
    }
    const address = destination.match(/.{4}/g)?.join(":") ?? "::";
    if (!isLinkLocal(address) && !address.startsWith("ff")) {
      table6.addSubnet(address, Number.parseInt(prefix, 16), "ipv6");
      isEmpty = false;
    }
  }
  return {
    reaches(host) {
      switch (isIP(host)) {
        case 4:
          return table4.check(host, "ipv4");
        case 6:
          return table6.check(host, "ipv6");
        default:
          return !isEmpty;
      }
    },
  };
}

function isUsable(flags: string | undefined): boolean {
  const bits = Number.parseInt(flags ?? "0", 16);
  return (bits & routeUp) !== 0 && (bits & routeReject) === 0;
}

function prefixOf(mask: string): number {
  return Number.parseInt(mask, 16).toString(2).replaceAll("0", "").length;
}
