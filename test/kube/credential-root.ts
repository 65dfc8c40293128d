import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Clock } from "../../src/kube/clock.ts";

/** A file system's root that goes with the test. */
export interface CredentialRoot extends Disposable {
  readonly root: string;
  write(path: string, text: string, mode?: number): void;
  /** Swaps a link as the kubelet does: a new link is renamed over it. */
  swap(path: string, target: string): void;
  remove(path: string): void;
}

export function credentialRoot(files: Readonly<Record<string, string>> = {}): CredentialRoot {
  const root = mkdtempSync(join(tmpdir(), "credentials-"));
  const write = (path: string, text: string, mode = 0o600): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
  for (const [path, text] of Object.entries(files)) {
    write(path, text);
  }
  return {
    root,
    write,
    swap(path, target) {
      symlinkSync(target, join(root, `${path}.new`));
      renameSync(join(root, `${path}.new`), join(root, path));
    },
    remove: (path) => rmSync(join(root, path)),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A clock that stands until it is set; a sleep lasts no time. */
export interface SetClock extends Clock {
  set(ms: number): void;
  /** Runs at each sleep. */
  onSleep: () => void;
  readonly slept: readonly number[];
}

export function setClock(startMs = Date.now()): SetClock {
  let nowMs = startMs;
  const slept: number[] = [];
  const clock: SetClock = {
    now: () => nowMs,
    random: () => 0.5,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      slept.push(ms);
      clock.onSleep();
    },
    set: (ms) => {
      nowMs = ms;
    },
    onSleep: () => undefined,
    slept,
  };
  return clock;
}

/** A kubeconfig in JSON, of one cluster and one user. */
export function kubeconfigOf(cluster: object, user: object): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster }],
    users: [{ name: "u", user }],
  });
}
