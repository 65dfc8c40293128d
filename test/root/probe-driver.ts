// Run by probe-namespace.ts inside our machine's network namespace.
import { writeSync } from "node:fs";
import { observeNetwork } from "../../src/host/network.ts";
import { collectEndpoints } from "../../src/kube/endpoint.ts";
import { probe } from "../../src/kube/probe.ts";

export interface ProbeOrder {
  readonly host: string;
  readonly port: number;
  readonly caPem: string;
  readonly deadlineMs: number;
  readonly networkMs: number;
}

export interface ProbeAnswer {
  readonly verdict: string;
  readonly reason: string;
  readonly kinds: readonly string[];
  readonly waitedMs: number;
  readonly log: readonly string[];
  /** From the start of the process to its end. */
  readonly processMs: number;
}

const order: ProbeOrder = JSON.parse(process.env["ORDER"] ?? "{}");
const log: string[] = [];
const { endpoints } = collectEndpoints({
  kubeconfig: { server: `https://${order.host}:${order.port}` },
  checkpoint: [],
  config: [],
  ownPort: undefined,
  ownAddresses: observeNetwork().addresses,
});
const { verdict, reason, outcomes, waitedMs } = await probe({
  endpoints,
  caPem: order.caPem,
  clientCert: undefined,
  nodeAddresses: [],
  deadlineMs: order.deadlineMs,
  networkMs: order.networkMs,
  observeNetwork,
  log: (line) => log.push(line),
});
const kinds = outcomes.map(({ kind }) => kind);
writeSync(1, JSON.stringify({ verdict, reason, kinds, waitedMs, log, processMs: 0 }));
