import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** The longest wait for one lookup before another is tried, milliseconds. */
const lookupMs = 2_000;
/** The most addresses of one name that are asked. */
const maxAddresses = 6;

/** What a name stands for; `problem` tells why there is no address. */
export interface Resolved {
  readonly addresses: readonly string[];
  readonly problem: string;
}

const pending = new Map<string, Promise<Resolved>>();

/**
 * The addresses of a host, as the C library finds them (hosts file, then DNS). Never rejects.
 *
 * A lookup cannot be cancelled, and the process lives until it returns. So each host has at most one
 * under way, and the C library is told to ask each name server once, for one second.
 * Source: resolv.conf(5), RES_OPTIONS.
 */
export async function resolveHost(host: string): Promise<Resolved> {
  if (isIP(host) !== 0) {
    return { addresses: [host], problem: "" };
  }
  const lookup = pending.get(host) ?? lookUp(host);
  pending.set(host, lookup);
  const late = { addresses: [], problem: "the name servers do not answer" };
  return Promise.race([lookup, pause(lookupMs, late, { ref: false })]);
}

async function lookUp(host: string): Promise<Resolved> {
  process.env["RES_OPTIONS"] ??= "timeout:1 attempts:1";
  const { lookup } = await import("node:dns/promises");
  try {
    const found = await lookup(host, { all: true, order: "ipv4first" });
    const addresses = found.map(({ address }) => address).slice(0, maxAddresses);
    return { addresses, problem: addresses.length === 0 ? "no address" : "" };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    return { addresses: [], problem: code };
  } finally {
    pending.delete(host);
  }
}
