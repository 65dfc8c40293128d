import { Failure } from "../errors.ts";
import { expectedFailure } from "../host/system-error.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { judgeClock } from "../model/clock.ts";
import type { RestorePlan } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import { planRestore } from "../plan/restore.ts";
import type { GenerationFile } from "../store/choice.ts";
import { openGeneration } from "../store/store.ts";
import { parsed } from "./open-checkpoint.ts";
import type { Session } from "./session.ts";

/** A generation as it was found, opened or not. */
export type Inspected = GenerationFile & {
  /** Promises that its file breaks, opened or not (E_PERMS). */
  readonly concerns: readonly Failure[];
} & (
    | {
        readonly kind: "opens";
        readonly checkpoint: Checkpoint;
        readonly plan: RestorePlan;
        readonly age: string;
      }
    | { readonly kind: "refused"; readonly failure: Failure }
  );

/**
 * Opens one generation and plans its restore, as restore would.
 *
 * Reads one file. What is expected to go wrong is part of the result.
 */
export function inspectGeneration(
  session: Session,
  file: GenerationFile,
  keys: KeyRing | Failure,
  { node, now }: { readonly node: string | undefined; readonly now: Date },
): Inspected {
  if (keys instanceof Failure) {
    return { ...file, kind: "refused", failure: keys, concerns: [] };
  }
  try {
    const opened = openGeneration(session.storeDir, file.generation, keys, node);
    const { concerns } = opened;
    const { checkpoint } = parsed(opened);
    const clock = judgeClock(now, checkpoint.metadata.capturedAt, file.generation);
    const plan = planRestore(checkpoint, {
      generation: file.generation,
      secretEnv: session.config.secretEnv,
      kubeletVersion: undefined,
      now: clock.now,
    });
    return { ...file, kind: "opens", checkpoint, plan, age: clock.age, concerns };
  } catch (error) {
    const failure = expectedFailure(error, {
      what: "the checkpoint cannot be read",
      where: file.file,
    });
    return { ...file, kind: "refused", failure, concerns: [] };
  }
}
