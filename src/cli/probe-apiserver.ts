import { observeListeners } from "../host/listeners.ts";
import { log, logWarning } from "../host/log.ts";
import { observeNetwork } from "../host/network.ts";
import { checkpointedServers } from "../kube/checkpointed-servers.ts";
import { collectEndpoints } from "../kube/endpoint.ts";
import { localizeEndpoints, refusedByAll } from "../kube/own-endpoint.ts";
import { describeOutcome } from "../model/describe-outcome.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { type Endpoint, type Verdict, verdictOf } from "../model/probe.ts";
import type { ObservedNode } from "./observe-node.ts";
import type { Session } from "./session.ts";

/**
 * Asks every apiserver that this node knows of, and says what each did.
 *
 * @param items the checkpoint's objects; none when no checkpoint opens
 */
export async function probeApiserver(
  session: Session,
  items: readonly KubernetesObject[],
  { kubelet, kubeconfig }: ObservedNode,
): Promise<Verdict> {
  const { config } = session;
  const known = checkpointedServers(items);
  const nodeAddresses = [...known.nodeAddresses, ...(kubelet.nodeIp?.split(",") ?? [])];
  const network = observeNetwork();
  const { endpoints, refused } = collectEndpoints({
    kubeconfig,
    checkpoint: known.servers,
    config: config.probe.endpoints,
    ownPort: known.ownPort,
    ownAddresses: [...nodeAddresses, ...network.addresses],
  });
  for (const { url, problem } of refused) {
    logWarning({ code: "W_PROBE", message: `${url} is not asked: ${problem}` });
  }
  const localized = localizeEndpoints(endpoints, network.addresses);
  const verdict = judgeUnasked(localized) ?? (await ask(localized));
  for (const outcome of verdict.outcomes) {
    log(`  ${describeOutcome(outcome)}`);
  }
  return verdict;

  async function ask(asked: readonly Endpoint[]): Promise<Verdict> {
    const { probe } = await import("../kube/probe.ts");
    return probe({
      endpoints: asked,
      caPem: kubeconfig?.caPem ?? known.caPem,
      clientCert: kubeconfig?.clientCert,
      nodeAddresses,
      deadlineMs: config.probe.deadlineMs,
      networkMs: config.probe.networkMs,
      observeNetwork,
      log,
    });
  }
}

/** The verdict where nobody needs to be asked, else undefined. */
function judgeUnasked(endpoints: readonly Endpoint[]): Verdict | undefined {
  const outcomes = refusedByAll(endpoints, observeListeners());
  return outcomes === undefined
    ? undefined
    : verdictOf(outcomes, { waitedMs: 0, pending: 0, over: true, network: "not-needed" });
}
