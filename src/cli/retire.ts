import { existsSync } from "node:fs";
import { paths, under } from "../config.ts";
import { Exit, type ExitStatus, Failure } from "../errors.ts";
import type { KubeletFacts } from "../host/kubelet.ts";
import { acquireLock } from "../host/lock.ts";
import { log, logWarning } from "../host/log.ts";
import { observeBoot } from "../host/observe.ts";
import { observeAll, type RetireOptions, retireAll } from "../project/retire.ts";
import { observeNode, withCaptured } from "./observe-node.ts";
import { openForRestore } from "./open-checkpoint.ts";
import { output } from "./output.ts";
import { observeProjected } from "./projected.ts";
import { putAllBack } from "./records-aside.ts";
import type { RestoreOptions } from "./restore-options.ts";
import { openSession, type Session } from "./session.ts";
import { count } from "./table.ts";

/**
 * Takes everything away that a restore has made: links, manifests and volumes, and puts the kubelet's pull records
 * back. A second run finds nothing to do.
 *
 * @throws {Failure} E_READONLY, E_IO, … only when something cannot be removed; the pull records then stay aside
 */
export async function retire(options: RestoreOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  const kubelet = await findKubelet(session);
  kubelet.warnings.forEach(logWarning);
  const { staticPodPath } = kubelet;
  const { canOwn } = observeBoot(session.root);
  const isThere = existsSync(under(session.root, staticPodPath));
  const place: RetireOptions = {
    root: session.root,
    staticPodDir: isThere ? staticPodPath : undefined,
    runDir: paths.run,
    canOwn,
  };
  const shown = observeProjected(session, staticPodPath)?.links ?? [];
  const pods = shown.flatMap(({ marks }) =>
    marks === undefined ? [] : [`${marks.namespace}/${marks.checkpointOf}`],
  );
  const { dryRun } = options;
  using lock = dryRun ? undefined : acquireLock(session.runDir);
  lock?.warnings.forEach(logWarning);
  const removed = dryRun ? observeAll(place) : retireAll(place);
  const { putBack, warnings } = putAllBack(session, kubelet, dryRun);
  warnings.forEach(logWarning);
  const records = count(putBack.length, "pull record");
  const said =
    removed.length + putBack.length === 0
      ? "nothing of ours is there"
      : `${count(pods.length, "pod")}: ${count(removed.length, "path")} ${dryRun ? "would be removed" : "removed"}, ${records} ${dryRun ? "would be put back" : "put back"}`;
  log(`restore --retire: ${said}`);
  if (pods.length > 0 && (kubelet.running || session.root !== "/")) {
    log(
      "a kubelet that has not reached an apiserver since it was started keeps running these pods, without their volumes, until it reaches one",
    );
  }
  await output(
    options.output,
    { dryRun, pods, removed, pullRecords: { putBack }, warnings },
    () => "",
  );
  return warnings.length === 0 ? Exit.ok : Exit.cantCreat;
}

/** The kubelet; where only the newest checkpoint tells where its manifests are, as that does, if it opens. */
async function findKubelet(session: Session): Promise<KubeletFacts> {
  const node = await observeNode(session);
  if (node.kubelet.namesStaticPodPath) {
    return node.kubelet;
  }
  try {
    const { checkpoint } = openForRestore(session, {
      generation: undefined,
      from: undefined,
      node: node.name,
    });
    return (await withCaptured(session, node, checkpoint)).kubelet;
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    return node.kubelet;
  }
}
