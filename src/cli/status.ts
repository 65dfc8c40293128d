import { Exit, type ExitStatus, Failure } from "../errors.ts";
import type { KeyReading } from "../host/credential.ts";
import { slotDirConcerns } from "../host/key-slots.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import {
  listGenerations,
  openNewest,
  type StoreListing,
  type StoreReading,
} from "../store/store.ts";
import { describeStatus } from "./describe-status.ts";
import { observeImageKeeping } from "./image-keeping.ts";
import { askForImages, describeRuntime, type RuntimeReport, reportImages } from "./image-report.ts";
import { judgeImageUse } from "./image-use.ts";
import { type Inspected, inspectGeneration } from "./inspect.ts";
import { describeProtection } from "./key.ts";
import { observeNode } from "./observe-node.ts";
import { certificateExpiry, describeExpiry, firstExpiry } from "./off-window.ts";
import { readNodeKey } from "./open-checkpoint.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { observeProjected, type Projected } from "./projected.ts";
import { openSession, type Session } from "./session.ts";

export interface StatusOptions extends GlobalOptions {
  readonly output: OutputFormat;
}

/**
 * Shows on one screen what the store holds, how it is protected, and what is projected now.
 *
 * Reads only. A store or key that is missing is shown, and is the exit status.
 */
export async function status(options: StatusOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  const listing = attempt(() => listGenerations(session.storeDir));
  const key = attempt(() => readNodeKey(session));
  const node = await observeNode(session);
  const { staticPodPath } = node.kubelet;
  const shown = observeProjected(session, staticPodPath);
  const inspected = inspectAll(
    session,
    listing,
    key instanceof Failure ? key : key.ring,
    node.name,
  );
  const newest = inspected.find((one) => one.kind === "opens");
  const found = problemOf(session, listing, key, inspected);
  const reading = found === undefined ? readAsRestore(session, key, node.name) : undefined;
  const problem = found ?? (reading?.kind === "boot-loop" ? reading.failure : undefined);
  const planned = newest?.plan.pods ?? [];
  const runtime = planned.length === 0 ? undefined : await askForImages(session.root, planned);
  const uses = await judgeImageUse(
    session,
    node.kubelet,
    newest?.checkpoint.metadata.kubelet?.version,
    planned,
  );
  const keeping = observeImageKeeping(session, node.kubelet.flags.get("root-dir"));
  const warnings: readonly Warning[] = [
    ...(key instanceof Failure ? [] : key.warnings),
    ...(reading?.warnings ?? (listing instanceof Failure ? [] : listing.warnings)),
    ...concernsOf(session, listing, inspected),
    ...node.warnings,
    ...(newest?.plan.warnings ?? []),
    ...uses.warnings,
    ...keeping.warnings,
  ];
  const protection = describeProtection(session.root);
  const now = new Date();
  const certPem = node.kubeconfig?.clientCert?.certPem;
  const expiry =
    newest === undefined
      ? undefined
      : firstExpiry(
          newest.checkpoint,
          certificateExpiry("the kubelet's client certificate", certPem),
        );
  const data = {
    store: session.storeDir,
    problem: problem === undefined ? null : { code: problem.code, message: problem.message },
    restores: reading?.kind === "opened" ? reading.opened.generation : null,
    protection,
    generations: inspected.map(describeGeneration),
    node: newest?.checkpoint.metadata.node ?? null,
    pods: runtime === undefined ? [] : reportImages(planned, runtime.findings, uses.use),
    runtime: runtime === undefined ? null : describeAsked(runtime, session.config.images.pin),
    recordsAside: keeping.recordsAside,
    archive: keeping.archive,
    unprojectable: [...(newest?.checkpoint.unprojectable ?? []), ...(newest?.plan.skipped ?? [])],
    offWindow:
      expiry === undefined
        ? null
        : {
            until: expiry.expiresAt.toISOString(),
            expires: expiry.what,
            says: describeExpiry(expiry, now),
          },
    projected: describeProjected(shown, staticPodPath),
    warnings,
  };
  await output(options.output, data, () => describeStatus(data, inspected, newest, warnings));
  return problem?.exit ?? Exit.ok;
}

function attempt<T>(run: () => T): T | Failure {
  try {
    return run();
  } catch (error) {
    if (error instanceof Failure) {
      return error;
    }
    throw error;
  }
}

function inspectAll(
  session: Session,
  listing: StoreListing | Failure,
  keys: KeyRing | Failure,
  node: string | undefined,
): readonly Inspected[] {
  const facts = { node, now: new Date() };
  return listing instanceof Failure
    ? []
    : listing.generations.map((file) => inspectGeneration(session, file, keys, facts));
}

/** What keeps a cold boot from being restored, undefined when nothing does. */
function problemOf(
  session: Session,
  listing: StoreListing | Failure,
  key: KeyReading | Failure,
  inspected: readonly Inspected[],
): Failure | undefined {
  if (listing instanceof Failure) {
    return listing;
  }
  if (listing.generations.length === 0) {
    return new Failure("E_NO_CHECKPOINT", {
      what: "the store holds no checkpoint",
      where: session.storeDir,
      next: "Run `blackstart capture` while the cluster is healthy",
    });
  }
  if (key instanceof Failure) {
    return key;
  }
  const [newest] = inspected;
  const opens = inspected.some(({ kind }) => kind === "opens");
  return !opens && newest?.kind === "refused" ? newest.failure : undefined;
}

/** What a cold boot would open: attempts count, and what is odd about the store is told. */
function readAsRestore(
  session: Session,
  key: KeyReading | Failure,
  node: string | undefined,
): StoreReading | undefined {
  if (key instanceof Failure) {
    return undefined;
  }
  const reading = attempt(() => openNewest(session.storeDir, key.ring, node, "count"));
  if (reading instanceof Failure) {
    return undefined; // gone since it was inspected
  }
  if (reading.kind === "opened") {
    reading.opened.plaintext.fill(0);
  }
  return reading;
}

/** Promises that the store, its files or the slots break although a boot is restored; `verify` fails on them. */
function concernsOf(
  session: Session,
  listing: StoreListing | Failure,
  inspected: readonly Inspected[],
): readonly Warning[] {
  const concerns = [
    ...(listing instanceof Failure ? [] : listing.concerns),
    ...inspected.flatMap((one) => one.concerns),
    ...slotDirConcerns(session.root),
  ];
  return concerns.map(({ code, message }) => ({ code: "W_STORE", message: `${code}: ${message}` }));
}

function describeGeneration(one: Inspected) {
  const { generation, file, sizeBytes, blessed, attempts } = one;
  const facts = { generation, file, sizeBytes, blessed, attemptsLeft: attempts.left };
  return one.kind === "opens"
    ? {
        ...facts,
        opens: true,
        capturedAt: one.checkpoint.metadata.capturedAt,
        age: one.age,
        pods: one.plan.pods.length,
      }
    : { ...facts, opens: false, code: one.failure.code, message: one.failure.message };
}

function describeAsked({ findings: _, ...runtime }: RuntimeReport, pin: boolean) {
  return { ...runtime, says: describeRuntime(runtime, pin) };
}

/** Pure. What a kubelet sees of ours. */
function describeProjected(shown: Projected | undefined, manifestDir: string) {
  return {
    manifestDir,
    generation: shown?.generation ?? null,
    pods:
      shown?.links.map(({ linkName, marks }) => ({
        namespace: marks?.namespace,
        name: marks?.checkpointOf,
        link: linkName,
      })) ?? [],
  };
}
