import { uptimeMs } from "../host/uptime.ts";
import {
  type Endpoint,
  isOver,
  type NetworkFacts,
  networkProof,
  networkState,
  type Outcome,
  type ProbeProgress,
  type Verdict,
  verdictOf,
} from "../model/probe.ts";
import type { Trust } from "./attempt.ts";
import { askEndpoint, type Question } from "./question.ts";

/** Whom to ask, what they must prove, and how long to wait. */
export interface ProbeRequest extends Trust {
  readonly endpoints: readonly Endpoint[];
  /** Addresses of this node as the checkpoint recorded them; an interface may not have them yet. */
  readonly nodeAddresses: readonly string[];
  readonly deadlineMs: number;
  /** The longest wait for a network; 0 does not wait. */
  readonly networkMs: number;
  /** Read until the network is up, several times a second. */
  observeNetwork(): NetworkFacts;
  /** Takes one line when the probe begins to wait for a network. */
  log(line: string): void;
}

/** From one outcome of an endpoint to the next question to it. */
const pauseMs = 250;
/** How often deadlines and network are looked at. */
const tickMs = 100;

/**
 * Asks every endpoint in parallel, again and again, until the verdict is clear.
 *
 * Never rejects. Ends a tick after `networkMs + deadlineMs` at the latest; by then every socket is
 * destroyed and no timer is left. (A lookup by the C library cannot be cancelled: see resolve.ts.)
 */
export async function probe(request: ProbeRequest): Promise<Verdict> {
  const { endpoints, deadlineMs, networkMs, nodeAddresses } = request;
  const startedMs = uptimeMs();
  const latest = new Map<Endpoint, Outcome>();
  const questions = new Map<Endpoint, Question>();
  const timers = new Map<Endpoint, NodeJS.Timeout>();
  const { promise, resolve } = Promise.withResolvers<Verdict>();
  let networkUpMs: number | undefined;
  let toldWaiting = false;
  let verdict: Verdict | undefined;

  /** Looks at all that is known, and ends the probe once that is enough. */
  function consider(): void {
    if (verdict !== undefined) {
      return;
    }
    const elapsedMs = uptimeMs() - startedMs;
    const network = networkUpMs === undefined ? observe() : "up";
    if (network === "up") {
      networkUpMs ??= elapsedMs;
    }
    const pending = endpoints.length - latest.size;
    const over = isOver({ elapsedMs, pending, network, networkUpMs, deadlineMs, networkMs });
    const outcomes = endpoints.flatMap((endpoint) => {
      const outcome = latest.get(endpoint) ?? (over ? questions.get(endpoint)?.soFar() : undefined);
      return outcome ?? [];
    });
    verdict = verdictOf(outcomes, { waitedMs: Math.round(elapsedMs), pending, over, network });
    if (verdict !== undefined) {
      stop();
      resolve(verdict);
    } else if (networkUpMs === undefined && network !== "not-needed" && networkMs > 0) {
      tellWaiting(network);
    }
  }

  function observe(): ProbeProgress["network"] {
    const proof = networkProof(endpoints, latest);
    if (proof !== undefined) {
      return proof;
    }
    return networkState(endpoints, latest, request.observeNetwork());
  }

  function tellWaiting(network: ProbeProgress["network"]): void {
    if (!toldWaiting) {
      toldWaiting = true;
      const lack = network === "no-address" ? "no network address" : "no route to another machine";
      request.log(`this machine has ${lack} yet: waiting at most ${networkMs / 1000} s for it`);
    }
  }

  async function askNow(endpoint: Endpoint): Promise<void> {
    const ownAddresses = () => [...nodeAddresses, ...request.observeNetwork().addresses];
    const question = askEndpoint(endpoint, request, ownAddresses);
    questions.set(endpoint, question);
    const outcome = await question.outcome;
    if (verdict === undefined) {
      latest.set(endpoint, outcome);
      timers.set(
        endpoint,
        setTimeout(() => void askNow(endpoint), pauseMs),
      );
      consider();
    }
  }

  const ticker = setInterval(consider, tickMs);
  function stop(): void {
    clearInterval(ticker);
    for (const timer of timers.values()) {
      clearTimeout(timer);
    }
    for (const question of questions.values()) {
      question.stop();
    }
  }

  for (const endpoint of endpoints) {
    void askNow(endpoint);
  }
  consider();
  return promise;
}
