import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "../../scripts/install.mjs";
import { type Checkpoint, parseCheckpoint } from "../../src/model/checkpoint.ts";
import { parseJson } from "../../src/model/json.ts";
import { type KeyRing, ringOf, StoreKey } from "../../src/model/store-key.ts";
import { listGenerations, openGeneration } from "../../src/store/store.ts";
import { blackstart, type Run, succeed } from "../end-to-end/executable.ts";
import { startDaemon } from "./daemon.ts";
import { until } from "./until.ts";

/** A node's file system under a directory, with a key and the kubelet's kubeconfig: what `capture` needs. */
export interface CaptureNode {
  readonly name: string;
  readonly root: string;
  readonly store: string;
  readonly ring: KeyRing;
  /** Replaces the kubelet's kubeconfig. */
  readonly useKubeconfig: (file: string) => void;
  /** `capture` with these words, to its end. */
  readonly once: (words?: readonly string[]) => Promise<Run>;
  /**
   * `capture --watch`, until it is stopped, at the latest when the test process ends.
   *
   * @param before  words before the program, which it takes the place of: `env NAME=value`
   */
  readonly watch: (words?: readonly string[], before?: readonly string[]) => Watching;
  /** Oldest first. */
  readonly generations: () => readonly number[];
  /** 0 for none. */
  readonly newest: () => number;
  readonly isBlessed: (generation: number) => boolean;
  /** Opened with the node's key by the store's own modules. */
  readonly open: (generation: number) => Checkpoint;
  /** When the generation's name appeared, ms since 1970. */
  readonly appearedAt: (generation: number) => number;
  /** Waits until there is a generation after that one, and gives the newest. */
  readonly after: (generation: number, deadlineMs?: number) => Promise<number>;
}

export interface Watching {
  readonly pid: number;
  readonly isRunning: () => boolean;
  /** All that it has said. */
  readonly log: () => string;
  readonly logFile: string;
  /** Waits until it has said that, after the first `from` characters. */
  readonly says: (what: RegExp, from?: number, deadlineMs?: number) => Promise<void>;
  readonly signal: (signal: "SIGHUP") => void;
  readonly stop: (signal?: "SIGTERM" | "SIGKILL") => Promise<void>;
  /** Resident memory, MB. */
  readonly residentMb: () => number;
}

/**
 * Makes a node's root; it is removed when the test process ends.
 *
 * @param config  lines of its configuration; without `capture` the shortest interval there is
 */
export function captureNode(
  name: string,
  kubeconfig: string,
  config: readonly string[] = ["select: all"],
): CaptureNode {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-capture-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const root = join(dir, "root");
  for (const path of ["etc/kubernetes/manifests", "etc/blackstart", "var/lib", "run"]) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
  }
  const lines = ["capture: {interval: 1s}", "retention: {generations: 1000}", ...config];
  writeFileSync(join(root, "etc/blackstart/config.yaml"), `${lines.join("\n")}\n`);
  succeed(["key", "init", "--root", root, "--slot", "plain"]);
  const useKubeconfig = (file: string) =>
    copyFileSync(file, join(root, "etc/kubernetes/kubelet.conf"));
  useKubeconfig(kubeconfig);

  const keys = join(root, "etc/blackstart/keys");
  const [slot = ""] = readdirSync(keys).filter((file) => file.endsWith(".plain"));
  const ring = ringOf(StoreKey.parse(readFileSync(join(keys, slot)), slot));
  const store = join(root, "var/lib/blackstart");
  const fileOf = (generation: number) =>
    join(store, `gen-${String(generation).padStart(20, "0")}.jwe`);
  const generations = () =>
    existsSync(store)
      ? listGenerations(store)
          .generations.map(({ generation }) => generation)
          .toReversed()
      : [];
  const newest = () => generations().at(-1) ?? 0;
  let watches = 0;
  return {
    name,
    root,
    store,
    ring,
    useKubeconfig,
    generations,
    newest,
    isBlessed: (generation) =>
      listGenerations(store).generations.some(
        (one) => one.generation === generation && one.blessed,
      ),
    open: (generation) => {
      const { plaintext } = openGeneration(store, generation, ring, name);
      return parseCheckpoint(parseJson(plaintext.toString("utf8")));
    },
    // link() is what shows it, and nothing touches the file afterwards but the unlink of its temporary name.
    appearedAt: (generation) => statSync(fileOf(generation)).ctimeMs,
    after: async (generation, deadlineMs = 10_000) => {
      await until(
        () => newest() > generation,
        deadlineMs,
        () => `no generation after ${generation}`,
      );
      return newest();
    },
    once: (words = []) => runToEnd(["capture", "--root", root, ...words]),
    watch: (words = [], before = []) => {
      watches += 1;
      return startWatch(
        [...before, blackstart, "capture", "--watch", "--root", root, ...words],
        join(dir, `${watches}.log`),
      );
    },
  };
}

function startWatch(words: readonly string[], logFile: string): Watching {
  const [file = "", ...rest] = words;
  const daemon = startDaemon(file, rest, logFile);
  const { pid, isRunning, stop } = daemon;
  const log = () => readFileSync(logFile, "utf8");
  return {
    pid,
    isRunning,
    log,
    logFile,
    says: (what, from = 0, deadlineMs = 10_000) =>
      until(
        () => what.test(log().slice(from)),
        deadlineMs,
        () => `${what} was not said:\n${log().slice(from)}`,
      ),
    signal: (signal) => process.kill(pid, signal),
    stop: (signal = "SIGTERM") => stop(signal),
    residentMb: () => {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
    },
  };
}

/** As `run`, but other things of this process go on meanwhile, such as a proxy. */
function runToEnd(words: readonly string[]): Promise<Run> {
  const child = spawn(blackstart, words, {
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8");
    child[name].on("data", (text: string) => {
      said[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) =>
      resolve({ ...said, status, signal, pid: child.pid ?? 0, output: [] }),
    );
  });
}

/** Asserts that it ended well, and gives it. */
export function ended(run: Run): Run {
  assert.equal(run.status, 0, run.stderr);
  return run;
}
