import { hostname, uptime } from "node:os";
import { Failure } from "../errors.ts";
import { log } from "../host/log.ts";
import { systemClock } from "../kube/clock.ts";
import { type Api, Connections } from "../kube/connections.ts";
import { type Credentials, readCredentials } from "../kube/credentials.ts";
import type { KubeletFacts } from "../model/checkpoint.ts";
import type { Warning } from "../model/plan.ts";
import { readIdentity } from "../store/freshness.ts";
import { observeNode } from "./observe-node.ts";
import { observeProjected } from "./projected.ts";
import type { Session } from "./session.ts";

/** The apiserver as this node's kubelet knows it. */
export interface Live {
  readonly api: Api;
  readonly connections: Connections;
  readonly credentials: Credentials;
  readonly node: string;
  readonly kubelet: KubeletFacts & { readonly staticPodPath: string };
  readonly warnings: readonly Warning[];
  /** By how much the apiserver's clock is ahead of this machine's, by its last answer; ms. */
  skewMs(): number | undefined;
}

export interface LiveOptions {
  /** undefined: as the kubelet is called. */
  readonly node: string | undefined;
  /** True for a process that stays: it waits for the apiserver for as long as it takes. */
  readonly patient: boolean;
}

/** Two nodes that booted so recently may have booted together. */
const recentBootSeconds = 600;

/**
 * Makes ready to ask the apiserver with the kubelet's own credentials; connects at the first request.
 *
 * The caller closes `connections`.
 *
 * @throws {Failure} E_KUBECONFIG only when there is no usable kubeconfig
 */
export async function openLive(
  session: Session,
  { node: named, patient }: LiveOptions,
): Promise<Live> {
  const { kubelet, name, warnings } = await observeNode(session);
  const credentials = await readCredentials(session.root, kubelet.kubeconfigPath, systemClock);
  let down = "";
  const connections = new Connections({
    dial: credentials.dial,
    clock: systemClock,
    // Whoever is in a hurry tries anew with each request.
    attempts: patient ? Number.POSITIVE_INFINITY : 1,
    crowded: patient && uptime() < recentBootSeconds,
    onDial: (failure) => {
      // Said once for each reason, however long it lasts.
      if (patient && failure !== undefined && failure.message !== down) {
        log(`${failure.code}: ${failure.message}`, "warning");
      }
      if (failure === undefined && (patient || session.verbose)) {
        log(`capture: connected to ${credentials.server}`);
      }
      down = failure?.message ?? "";
    },
  });
  let skewMs: number | undefined;
  const api: Api = {
    async send(request, ticket, signal) {
      const answer = await connections.send(request, ticket, signal);
      const serverMs = Date.parse(answer.headers["date"] ?? "");
      skewMs = Number.isNaN(serverMs) ? skewMs : serverMs - systemClock.now();
      if (answer.status === 401) {
        credentials.invalidate();
      }
      return answer;
    },
  };
  const { staticPodPath, nodeIp, kubeconfigPath } = kubelet;
  return {
    api,
    connections,
    credentials,
    node:
      named ??
      name ??
      credentials.nodeName ??
      // A token or a plugin does not tell the name; the host's may be another than the node's.
      readIdentity(session.storeDir)?.node ??
      hostname().toLowerCase(),
    kubelet: {
      staticPodPath,
      ...(nodeIp === undefined ? {} : { nodeIP: nodeIp }),
      kubeconfig: kubeconfigPath,
    },
    // What the credentials lack is their own failure, told with its next step.
    warnings: warnings.filter(({ code }) => code !== "W_PROBE"),
    skewMs: () => skewMs,
  };
}

/**
 * Refuses while our own static pods run: what the cluster says of this node is then in between.
 *
 * @throws {Failure} E_PROJECTED only when something of ours is projected
 */
export function refuseProjected(session: Session, staticPodPath: string): void {
  const projected = observeProjected(session, staticPodPath);
  if (projected !== undefined) {
    throw new Failure("E_PROJECTED", {
      what: "nothing is captured while pods from a checkpoint run on this node",
      where: staticPodPath,
      found: `${projected.links.length} of ours`,
      next: "Hand the node back to the self-hosted control plane first",
    });
  }
}

/** By how much two clocks of a cluster may differ, ms: certificates and tokens are made for no more. */
const skewLimitMs = 300_000;

/**
 * Judges the clock before anything is dated by it.
 *
 * Soon after the boot it is refused, for time may not have been synchronised yet; later it is a warning.
 *
 * @param capturedAt  of the newest generation, which cannot lie in the future
 * @throws {Failure} E_CLOCK only when the clock is wrong and the machine has run for less than 10 min
 */
export function checkClock(
  now: Date,
  {
    skewMs,
    capturedAt,
  }: { readonly skewMs: number | undefined; readonly capturedAt: Date | undefined },
  uptimeSeconds: number = uptime(),
): readonly Warning[] {
  const concern = clockConcern(now, skewMs, capturedAt);
  if (concern === undefined) {
    return [];
  }
  if (uptimeSeconds < recentBootSeconds) {
    throw new Failure("E_CLOCK", {
      what: "the clock is not to be trusted yet, so nothing is captured",
      found: concern,
      next: "Wait for the time to be synchronised, or set it (`timedatectl`)",
    });
  }
  return [{ code: "W_CLOCK", message: `${concern}; see to the time's synchronisation` }];
}

function clockConcern(now: Date, skewMs: number | undefined, capturedAt: Date | undefined) {
  if (skewMs !== undefined) {
    // The apiserver knows better than an old generation, which may be dated by a clock that was wrong.
    return Math.abs(skewMs) <= skewLimitMs
      ? undefined
      : `this machine says ${now.toISOString()}, the apiserver ${new Date(now.getTime() + skewMs).toISOString()}`;
  }
  return capturedAt === undefined || now.getTime() >= capturedAt.getTime() - skewLimitMs
    ? undefined
    : `this machine says ${now.toISOString()}, the newest generation is of ${capturedAt.toISOString()}`;
}
