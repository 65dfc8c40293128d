import { unwantedPins, wantedPins } from "../capture/pins.ts";
import { Failure } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { WantedPins } from "../model/pins.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import { pinImage, pinnedByUs, unpinImage } from "../runtime/containerd.ts";
import { runtimeVersion } from "../runtime/cri.ts";
import { writeCrioPins } from "../runtime/crio.ts";
import { type GrpcSocket, openGrpcSocket } from "../runtime/grpc.ts";
import { listGenerations, openGeneration } from "../store/store.ts";
import { parsed } from "./open-checkpoint.ts";
import type { Session } from "./session.ts";
import { count } from "./table.ts";

/** What came of pinning. */
export interface Pinning {
  /** Kept from garbage collection now, and not before. */
  readonly pinned: number;
  readonly unpinned: number;
  /** The runtime did not answer, so that nothing is known. */
  readonly isSilent: boolean;
  readonly warnings: readonly Warning[];
}

const deadlineMs = 2_000;
const nothing: Pinning = { pinned: 0, unpinned: 0, isSilent: false, warnings: [] };

/**
 * Pins the images of the newest generation and of the blessed one, and unpins what we have pinned for another.
 *
 * Bounded in time, never rejects. Whatever goes wrong is a warning: a checkpoint without pins is still a checkpoint.
 * Nothing is unpinned while one of the generations cannot be read, for its images may be among those.
 *
 * @param socket  the runtime's; absolute on this machine
 */
export async function pinImages(
  session: Session,
  ring: KeyRing,
  node: string,
  socket: string,
): Promise<Pinning> {
  const needed = session.config.images.pin
    ? neededCheckpoints(session, ring, node)
    : { checkpoints: [], problem: undefined };
  using runtime = openGrpcSocket(socket);
  try {
    return await pinNeeded(session, runtime, needed);
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    return warn(`images may not be pinned: ${error.code}: ${error.message}`);
  }
}

async function pinNeeded(
  session: Session,
  runtime: GrpcSocket,
  { checkpoints, problem }: Needed,
): Promise<Pinning> {
  const wanted = wantedPins(checkpoints);
  const version = await runtimeVersion(runtime, deadlineMs);
  if (version === undefined) {
    return { ...nothing, isSilent: true }; // which is told where it is asked for images
  }
  switch (version.name) {
    case "containerd":
      return withProblem(await pinInContainerd(runtime, wanted, problem === undefined), problem);
    case "cri-o":
      return problem === undefined
        ? pinInCrio(session.root, wanted)
        : withProblem(nothing, problem);
    default:
      return session.config.images.pin
        ? warn(
            `the container runtime ${version.name} has no way to keep images from garbage collection. Keep them by the kubelet's imageGCHighThresholdPercent, or set \`images: {pin: false}\``,
          )
        : nothing;
  }
}

/** What is to be kept for whom. */
interface Needed {
  /** The newest generation that opens, and the blessed one. */
  readonly checkpoints: readonly Checkpoint[];
  /** Why there may be another one that nobody could read. */
  readonly problem: Failure | undefined;
}

function neededCheckpoints(session: Session, ring: KeyRing, node: string): Needed {
  const checkpoints: Checkpoint[] = [];
  let isBlessedFound = false;
  let problem: Failure | undefined;
  const quietly = (read: () => void) => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof Failure)) {
        throw error;
      }
      problem ??= error;
    }
  };
  quietly(() => {
    for (const { generation, blessed } of listGenerations(session.storeDir).generations) {
      if (isBlessedFound || (checkpoints.length > 0 && !blessed)) {
        continue;
      }
      quietly(() => {
        const opened = openGeneration(session.storeDir, generation, ring, node);
        checkpoints.push(parsed(opened).checkpoint);
        isBlessedFound = blessed;
      });
    }
  });
  return { checkpoints, problem };
}

function withProblem(pinning: Pinning, problem: Failure | undefined): Pinning {
  // Before the first capture there is nothing to pin, and nothing to tell.
  if (problem === undefined || problem.code === "E_NO_STORE") {
    return pinning;
  }
  const message = `nothing is unpinned, for a generation cannot be read: ${problem.code}: ${problem.message}`;
  return { ...pinning, warnings: [...pinning.warnings, ...warn(message).warnings] };
}

async function pinInContainerd(
  runtime: GrpcSocket,
  wanted: WantedPins,
  unpins: boolean,
): Promise<Pinning> {
  const ours = await pinnedByUs(runtime, deadlineMs);
  if (ours === undefined) {
    return warn(
      "containerd does not tell what is pinned: images may be collected while their pods do not run",
    );
  }
  const results = await Promise.all([
    ...wanted.ids.map((id) => pinImage(runtime, id, deadlineMs)),
    ...(unpins ? unwantedPins(wanted, ours) : []).map((name) =>
      unpinImage(runtime, name, deadlineMs),
    ),
  ]);
  const failed = results.flatMap((result) => (result.kind === "failed" ? [result.problem] : []));
  const pinned = results.filter(({ kind }) => kind === "pinned").length;
  const kept = wanted.ids.filter((id) => ours.includes(id)).length;
  return {
    ...nothing,
    pinned: Math.max(0, pinned - kept),
    unpinned: results.filter(({ kind }) => kind === "unpinned").length,
    warnings:
      failed.length === 0
        ? []
        : warn(
            `${count(failed.length, "image")} could not be pinned or unpinned in containerd: ${failed[0]}`,
          ).warnings,
  };
}

function pinInCrio(root: string, wanted: WantedPins): Pinning {
  const result = writeCrioPins(root, wanted);
  switch (result.kind) {
    case "unchanged":
      return nothing;
    case "written":
      return warn(
        "CRI-O's pinned images have changed and count from its next reload: run `systemctl reload crio`",
      );
    case "failed":
      return warn(`images are not pinned in CRI-O: ${result.problem}`);
  }
}

function warn(message: string): Pinning {
  return { ...nothing, warnings: [{ code: "W_IMAGE_PIN", message }] };
}
