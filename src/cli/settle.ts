import { Exit, type ExitStatus, Failure } from "../errors.ts";
import { log } from "../host/log.ts";
import { checkpointedServers } from "../kube/checkpointed-servers.ts";
import { settleAttempts } from "../store/marks.ts";
import { observeNode } from "./observe-node.ts";
import { openForRestore } from "./open-checkpoint.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { probeApiserver } from "./probe-apiserver.ts";
import { observeProjected } from "./projected.ts";
import { openSession, type Session } from "./session.ts";

export interface SettleOptions extends GlobalOptions {
  readonly output: OutputFormat;
}

/**
 * Gives the projected generation its boot attempts back: this boot has lasted.
 *
 * Where an apiserver was restored it has to answer first: a node that is up with a control plane that is not
 * has proved nothing, and its generation must be able to run out of attempts.
 *
 * @throws {Failure} what opening the generation and writing the store throw
 */
export async function settle(options: SettleOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  const node = await observeNode(session);
  const generation = observeProjected(session, node.kubelet.staticPodPath)?.generation;
  if (generation === undefined) {
    return say(options, { settled: false, reason: "nothing is projected" }, Exit.ok);
  }
  const checkpoint = openProjected(session, generation, node.name);
  if (checkpoint === undefined) {
    const reason = `generation ${generation} is no longer in the store`;
    return say(options, { settled: false, generation, reason }, Exit.ok);
  }
  if (checkpointedServers(checkpoint.items).ownPort !== undefined) {
    const { verdict, reason } = await probeApiserver(session, checkpoint.items, node);
    if (verdict === "cold") {
      return say(options, { settled: false, generation, reason }, Exit.unavailable);
    }
  }
  settleAttempts(session.storeDir, generation);
  const reason = `generation ${generation} has its boot attempts back`;
  return say(options, { settled: true, generation, reason }, Exit.ok);
}

/** undefined when newer generations have taken its place in the store. */
function openProjected(session: Session, generation: number, node: string | undefined) {
  try {
    return openForRestore(session, { generation, from: undefined, node }).checkpoint;
  } catch (error) {
    if (error instanceof Failure && error.code === "E_NO_CHECKPOINT") {
      return undefined;
    }
    throw error;
  }
}

interface Settled {
  readonly settled: boolean;
  readonly generation?: number;
  readonly reason: string;
}

async function say(
  options: SettleOptions,
  result: Settled,
  status: ExitStatus,
): Promise<ExitStatus> {
  log(`settle: ${result.reason}`);
  await output(options.output, result, () => "");
  return status;
}
