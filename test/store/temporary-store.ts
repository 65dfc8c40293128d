import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KeyRing, ringOf, StoreKey } from "../../src/model/store-key.ts";
import { commitGeneration } from "../../src/store/commit.ts";
import type { Recipient } from "../../src/store/recipients.ts";

/** A store of its own in a temporary directory, removed with it. */
export interface TemporaryStore extends Disposable {
  /** Absolute; missing until the first commit. */
  readonly dir: string;
  readonly ring: KeyRing;
  /** Commits a document of this text. */
  readonly commit: (text: string, more?: CommitOptions) => ReturnType<typeof commitGeneration>;
}

export interface CommitOptions {
  readonly node?: string;
  readonly keep?: number;
  readonly ring?: KeyRing;
  readonly recipients?: readonly Recipient[];
}

export function temporaryStore(): TemporaryStore {
  const parent = mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
  const dir = join(parent.path, "store");
  const ring = ringOf(StoreKey.generate());
  return {
    dir,
    ring,
    commit: (text, more = {}) =>
      commitGeneration(
        dir,
        {
          plaintext: Buffer.from(text),
          node: more.node ?? "n1",
          capturedAt: "2026-01-02T03:04:05Z",
        },
        more.ring ?? ring,
        more.recipients ?? [],
        { keep: more.keep ?? 3 },
      ),
    [Symbol.dispose]: () => parent.remove(),
  };
}
