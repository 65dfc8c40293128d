import type { ServerUrl } from "./server-url.ts";

/** Where an apiserver may be, and which names its certificate may carry. */
export interface Endpoint extends ServerUrl {
  readonly origin: "own" | "kubeconfig" | "checkpoint" | "config";
  /** True for this machine: its apiserver cannot run before its kubelet does. */
  readonly own: boolean;
  /** The certificate must be valid for one of these names or addresses. */
  readonly serverNames: readonly string[];
}

/** The dates of the certificate that is outside its time, beside the clock that says so. */
export interface CertificateTime {
  readonly subject: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  readonly now: Date;
}

/** What one endpoint did when it was asked. Details never hold anything that the endpoint sent as a body. */
export type Finding =
  | { readonly kind: "answered"; readonly status: number }
  /** The apiserver runs and says that it has no etcd: it can serve no pods. */
  | { readonly kind: "no-store"; readonly status: number }
  /** Of the cluster, but for the clock: the chain and the name are right. */
  | { readonly kind: "not-yet-valid"; readonly time: CertificateTime }
  | { readonly kind: "expired"; readonly time: CertificateTime }
  | { readonly kind: "untrusted"; readonly detail: string }
  /** TCP connects, then nothing comes. */
  | { readonly kind: "half-open"; readonly awaited: "TLS" | "HTTP" }
  | {
      readonly kind: "refused" | "timeout" | "reset" | "dns" | "unreachable";
      readonly detail: string;
    }
  | { readonly kind: "not-tls" | "not-http"; readonly detail: string };

export type FindingKind = Finding["kind"];

export type Outcome = Finding & { readonly endpoint: Endpoint };

/** What restore does: a warm boot needs nothing, a cold boot is restored. */
export interface Verdict {
  readonly verdict: "warm" | "cold";
  /** One sentence without its full stop. */
  readonly reason: string;
  readonly outcomes: readonly Outcome[];
  readonly waitedMs: number;
  /** Set when a certificate of the cluster is not valid yet: this machine's clock is wrong. */
  readonly clockSuspect?: CertificateTime;
}

/** How far the probe is when it asks for a verdict. */
export interface ProbeProgress {
  readonly waitedMs: number;
  /** Endpoints that have given no outcome so far. */
  readonly pending: number;
  /** True once nothing more is waited for. */
  readonly over: boolean;
  /** This machine's way to the other machines; "not-needed" when every endpoint is its own. */
  readonly network: "not-needed" | "up" | "no-address" | "no-route";
}

/**
 * Decides between warm and cold, or undefined: ask again.
 *
 * Pure. One verified answer is warm at once; nothing but refusals is cold at once; all else waits
 * until the progress is over.
 */
export function verdictOf(
  outcomes: readonly Outcome[],
  progress: ProbeProgress,
): Verdict | undefined {
  const { waitedMs } = progress;
  for (const outcome of outcomes) {
    if (outcome.kind === "answered") {
      const reason = `the apiserver at ${outcome.endpoint.url} answers (HTTP ${outcome.status})`;
      return { verdict: "warm", reason, outcomes, waitedMs };
    }
  }
  for (const outcome of outcomes) {
    if (outcome.kind === "not-yet-valid") {
      const reason = `an apiserver of this cluster is up at ${outcome.endpoint.url}; the clock must be mended`;
      return { verdict: "warm", reason, outcomes, waitedMs, clockSuspect: outcome.time };
    }
  }
  if (progress.over || (progress.pending === 0 && outcomes.every(isFinal))) {
    return { verdict: "cold", reason: coldReason(outcomes, progress), outcomes, waitedMs };
  }
  return undefined;
}

/** Nobody listens there; and at an address of this node that no interface has, nobody can. */
function isFinal({ kind, endpoint }: Outcome): boolean {
  return kind === "refused" || (kind === "unreachable" && endpoint.own);
}

function coldReason(outcomes: readonly Outcome[], progress: ProbeProgress): string {
  const seconds = `${(progress.waitedMs / 1000).toFixed(1)} s`;
  if (outcomes.length === 0) {
    return "no apiserver's endpoint is known";
  }
  const noStore = outcomes.find(({ kind }) => kind === "no-store");
  if (noStore !== undefined) {
    return `the apiserver at ${noStore.endpoint.url} still has no etcd after ${seconds}, so it can serve no pods`;
  }
  if (outcomes.every(isFinal)) {
    return outcomes.length === 1
      ? "the only known endpoint refuses the connection"
      : `all ${outcomes.length} known endpoints refuse the connection`;
  }
  if (progress.network === "no-address") {
    return `this machine had no network address within ${seconds}, so no other machine could be asked`;
  }
  if (progress.network === "no-route") {
    return `this machine had no route to any other endpoint within ${seconds}`;
  }
  const counts = Map.groupBy(outcomes, ({ kind }) => kind);
  const kinds = [...counts].map(([kind, those]) => `${those.length} ${kind}`);
  return `no endpoint gave a verified answer within ${seconds} (${kinds.join(", ")})`;
}

/** This machine's addresses, and its way to others. */
export interface NetworkFacts {
  /** Of interfaces that are up; neither loopback nor link-local. */
  readonly addresses: readonly string[];
  /** True when the routing table has a way to the address; for a name, when it has a way to anywhere. */
  hasRouteTo(host: string): boolean;
}

/**
 * What the outcomes alone tell of the network; undefined when only its facts can.
 *
 * Pure. Whatever another machine did proves a way to it: routing tables that are not looked at (policy routing)
 * then do not matter. A timeout is nobody's doing: it is also what an unplugged cable does to a packet.
 */
export function networkProof(
  endpoints: readonly Endpoint[],
  latest: ReadonlyMap<Endpoint, Outcome>,
): "not-needed" | "up" | undefined {
  const others = othersOf(endpoints, latest);
  if (others.length === 0) {
    return "not-needed";
  }
  const kinds = others.map((endpoint) => latest.get(endpoint)?.kind ?? "unreachable");
  return kinds.some((kind) => !silence.includes(kind)) ? "up" : undefined;
}

/** What comes of no other machine. */
const silence: readonly FindingKind[] = ["unreachable", "dns", "timeout"];

/** Pure. Whether this machine has an address and a way to one of the other machines. */
export function networkState(
  endpoints: readonly Endpoint[],
  latest: ReadonlyMap<Endpoint, Outcome>,
  facts: NetworkFacts,
): "up" | "no-address" | "no-route" {
  if (facts.addresses.length === 0) {
    return "no-address";
  }
  const others = othersOf(endpoints, latest);
  return others.some(({ host }) => facts.hasRouteTo(host)) ? "up" : "no-route";
}

/** A name may have turned out to stand for this machine: the outcome's endpoint knows. */
function othersOf(
  endpoints: readonly Endpoint[],
  latest: ReadonlyMap<Endpoint, Outcome>,
): readonly Endpoint[] {
  return endpoints.filter((endpoint) => !(latest.get(endpoint)?.endpoint ?? endpoint).own);
}

/** What is known of time and network while the probe waits; milliseconds since it began. */
export interface Waiting {
  readonly elapsedMs: number;
  readonly pending: number;
  readonly network: ProbeProgress["network"];
  /** When the network came up; undefined while it has not. */
  readonly networkUpMs: number | undefined;
  readonly deadlineMs: number;
  readonly networkMs: number;
}

/**
 * True when nothing more is waited for.
 *
 * Pure. The deadline starts when the network is up, or at once when none is needed. Without a
 * network nothing is waited for after `networkMs`, save first outcomes of this machine's own endpoints.
 */
export function isOver(waiting: Waiting): boolean {
  const { elapsedMs, network, networkUpMs, deadlineMs, networkMs } = waiting;
  if (network === "not-needed") {
    return elapsedMs >= deadlineMs;
  }
  if (networkUpMs !== undefined) {
    return elapsedMs >= networkUpMs + deadlineMs;
  }
  return elapsedMs >= Math.max(networkMs, waiting.pending === 0 ? 0 : deadlineMs);
}

/**
 * Of what the addresses behind one name did, that which tells most.
 *
 * The order matters to the verdict: refused beats unreachable (a machine without IPv6), and
 * everything that may still become an answer beats refused.
 */
const telling: readonly FindingKind[] = [
  "answered",
  "not-yet-valid",
  "no-store",
  "expired",
  "untrusted",
  "not-http",
  "half-open",
  "not-tls",
  "reset",
  "timeout",
  "refused",
  "unreachable",
  "dns",
];

/** Pure. The finding of an endpoint with several addresses; undefined for none. */
export function mostTelling(findings: readonly Finding[]): Finding | undefined {
  return findings.toSorted((a, b) => telling.indexOf(a.kind) - telling.indexOf(b.kind))[0];
}
