import { isIP } from "node:net";
import { type Endpoint, type Finding, mostTelling, type Outcome } from "../model/probe.ts";
import { type Attempt, ask, type Trust } from "./attempt.ts";
import { isOwnAddress } from "./endpoint.ts";
import { resolveHost } from "./resolve.ts";

/** One endpoint being asked, at all of its addresses. */
export interface Question {
  /** Settles once; never rejects. Its endpoint is `own` when the name stands for this machine alone. */
  readonly outcome: Promise<Outcome>;
  /** What is known by now. */
  soFar(): Outcome;
  /** Ends it at once and destroys its sockets. */
  stop(): void;
}

/**
 * Asks an endpoint once: resolves its name, then asks each address in parallel.
 *
 * The first verified answer ends it; otherwise the finding that tells most stands for all.
 *
 * @param ownAddresses  of this machine, in any notation; asked only when the host is a name
 */
export function askEndpoint(
  endpoint: Endpoint,
  trust: Trust,
  ownAddresses: () => readonly string[],
): Question {
  let asked = endpoint;
  let attempts: readonly Attempt[] = [];
  let stopped = false;

  async function run(): Promise<Finding> {
    const { addresses, problem } = await resolveHost(endpoint.host);
    if (addresses.length === 0 || stopped) {
      return { kind: "dns", detail: problem };
    }
    if (!endpoint.own && isIP(endpoint.host) === 0) {
      const own = ownAddresses();
      asked = { ...endpoint, own: addresses.every((address) => isOwnAddress(address, own)) };
    }
    const authority = endpoint.url.slice("https://".length).split("/", 1)[0] ?? endpoint.host;
    attempts = addresses.map((address) =>
      ask(
        {
          address,
          port: endpoint.port,
          authority,
          serverNames: endpoint.serverNames,
          path: `${endpoint.prefix}/readyz`,
        },
        trust,
      ),
    );
    await Promise.race([
      Promise.all(attempts.map(({ finding }) => finding)),
      ...attempts.map(({ finding }) => firstAnswer(finding)),
    ]);
    for (const attempt of attempts) {
      attempt.stop();
    }
    return known();
  }

  function known(): Finding {
    const findings = attempts.map((attempt) => attempt.soFar());
    return mostTelling(findings) ?? { kind: "dns", detail: "the name servers do not answer" };
  }

  return {
    outcome: run().then((finding) => ({ ...finding, endpoint: asked })),
    soFar: () => ({ ...known(), endpoint: asked }),
    stop: () => {
      stopped = true;
      for (const attempt of attempts) {
        attempt.stop();
      }
    },
  };
}

/** Settles only when the finding alone makes the boot a warm one. */
function firstAnswer(finding: Promise<Finding>): Promise<void> {
  return new Promise((resolve) => {
    void finding.then(({ kind }) => {
      if (kind === "answered" || kind === "not-yet-valid") {
        resolve();
      }
    });
  });
}
