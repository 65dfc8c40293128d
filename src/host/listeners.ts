import { readFileSync } from "node:fs";

/** TCP_LISTEN. Source: Linux v6.12 `include/net/tcp_states.h`. */
const listening = "0A";

/**
 * The TCP ports on which anything of this machine listens; undefined when the kernel does not tell.
 *
 * Reads /proc/self/net/tcp and tcp6 (absent without IPv6).
 */
export function observeListeners(): ReadonlySet<number> | undefined {
  const ipv4 = read("/proc/self/net/tcp");
  return ipv4 === undefined
    ? undefined
    : parseListeners(`${ipv4}\n${read("/proc/self/net/tcp6") ?? ""}`);
}

/**
 * Pure. Source: Linux v6.12 `Documentation/networking/proc_net_tcp.rst`: `sl local_address rem_address st …`,
 * numbers in hexadecimal.
 */
export function parseListeners(table: string): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const line of table.split("\n")) {
    const [, port, state] =
      /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /.exec(line) ?? [];
    if (port !== undefined && state === listening) {
      ports.add(Number.parseInt(port, 16));
    }
  }
  return ports;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}
