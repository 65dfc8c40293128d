import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { until } from "../../e2e/until.ts";

/** What a command said, both streams in one, and how it ended. */
export interface Answer {
  readonly status: number | null;
  readonly output: string;
}

/** A machine that runs, until its power is cut or it turns itself off. */
export interface RunningMachine extends AsyncDisposable {
  /** Runs a command in it, as root, outside of every unit. */
  readonly exec: (...words: readonly string[]) => Promise<Answer>;
  /** As `exec`, and fails unless it ends with 0; gives what it said. */
  readonly must: (...words: readonly string[]) => Promise<string>;
  /** Replaces a file, by rename, mode 0600. */
  readonly write: (path: string, text: string) => Promise<void>;
  /** One property of a unit, as `systemctl show` tells it. */
  readonly property: (unit: string, name: string) => Promise<string>;
  /** This machine's number of a process that has `pid` in there. */
  readonly pidOf: (pid: number) => number;
  /** As a power cut: nothing in it gets to know. */
  readonly cutPower: () => Promise<void>;
  /** Asks it to turn itself off, and waits until it has. */
  readonly turnOff: () => Promise<void>;
}

const bootMs = 60_000;

/** Starts the command, which boots a machine in namespaces below it, and waits until it has booted. */
export async function startMachine(
  command: string,
  words: readonly string[],
): Promise<RunningMachine> {
  const machine = spawn(command, words, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] },
  });
  let screen = "";
  for (const stream of [machine.stdout, machine.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      screen += text;
    });
  }
  let running = true;
  const ended = new Promise<void>((resolve) => {
    machine.once("close", () => {
      running = false;
      resolve();
    });
  });
  const cutPower = async () => {
    machine.kill("SIGTERM");
    await ended;
  };

  let init: number | undefined;
  const exec = (...rest: readonly string[]): Promise<Answer> => enter(init ?? 0, rest, undefined);
  const must = async (...rest: readonly string[]) => {
    const { status, output } = await exec(...rest);
    if (status !== 0) {
      throw new Error(`${rest.join(" ")} ended with ${status}: ${output}`);
    }
    return output;
  };
  try {
    await until(
      async () => {
        if (!running) {
          throw new Error(`the machine has ended: ${screen}`);
        }
        init ??= findInit(machine.pid ?? 0);
        const state =
          init === undefined ? "" : (await exec("systemctl", "is-system-running")).output;
        return /^(running|degraded)$/m.test(state);
      },
      bootMs,
      () => `the machine has not booted: ${screen}`,
    );
  } catch (error) {
    await cutPower();
    throw error;
  }
  return {
    exec,
    must,
    write: async (path, text) => {
      const script = 'umask 077; cat > "$1.new" && mv "$1.new" "$1"';
      const { status, output } = await enter(init ?? 0, ["sh", "-c", script, "sh", path], text);
      if (status !== 0) {
        throw new Error(`${path}: ${output}`);
      }
    },
    property: async (unit, name) =>
      (await must("systemctl", "show", "--value", "-p", name, unit)).trim(),
    pidOf: (pid) => {
      const found = descendants(machine.pid ?? 0).find(
        (one) => namespacePids(one).length > 2 && namespacePids(one).at(-1) === pid,
      );
      if (found === undefined) {
        throw new Error(`the machine has no process ${pid}`);
      }
      return found;
    },
    cutPower,
    turnOff: async () => {
      await exec("systemctl", "poweroff");
      await until(
        () => !running,
        bootMs,
        () => `the machine does not turn off: ${screen}`,
      );
    },
    [Symbol.asyncDispose]: cutPower,
  };
}

/** Runs a command in the namespaces of another process. */
function enter(
  target: number,
  words: readonly string[],
  input: string | undefined,
): Promise<Answer> {
  const namespaces = ["--mount", "--uts", "--ipc", "--pid", "--root"];
  const inside = ["sh", "-c", 'cd / && exec "$@"', "sh", ...words];
  const child = spawn("nsenter", [`--target=${target}`, ...namespaces, "--", ...inside], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
    });
  }
  child.stdin.on("error", () => {
    // It ended without reading.
  });
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ status: null, output: error.message }));
    child.once("close", (status) => resolve({ status, output }));
  });
}

/** The first process of the innermost pid namespace, once it is systemd. */
function findInit(ancestor: number): number | undefined {
  return descendants(ancestor).find((pid) => {
    const numbers = namespacePids(pid);
    return numbers.length > 2 && numbers.at(-1) === 1 && fieldOf(pid, "Name") === "systemd";
  });
}

function descendants(ancestor: number): readonly number[] {
  const parents = new Map(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), Number(fieldOf(Number(name), "PPid"))]),
  );
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0;
    return parent === ancestor || (parent > 1 && isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow);
}

/** A process's number in each pid namespace, from ours to its own. */
function namespacePids(pid: number): readonly number[] {
  return fieldOf(pid, "NSpid").split(/\s+/).map(Number);
}

/** A field of /proc/PID/status; empty when the process has ended. */
function fieldOf(pid: number, name: string): string {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1]?.trim() ?? "";
  } catch {
    return "";
  }
}
