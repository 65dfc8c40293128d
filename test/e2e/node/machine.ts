import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { cleanEnvironment } from "../../../scripts/install.mjs";
import { cacheDir } from "../binaries.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { type Hierarchy, makeCgroups, removeCgroups } from "./cgroups.ts";
import { eventually } from "./wait.ts";

/** What of a machine lasts from one boot to the next. */
export interface MachineSettings {
  /** Tells its control groups from others'. */
  readonly id: string;
  /** Absolute: the root directory of the machine. */
  readonly disk: string;
  /** Absolute: what runs the machine logs here. */
  readonly logDir: string;
  readonly hostname: string;
  readonly address: string;
}

export interface Ended {
  /** Of the program; null where a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From its start to its end, about 5 ms for entering the machine included. */
  readonly ms: number;
}

/** A machine that is switched on: namespaces of its own for mounts, network, processes, control groups, name, IPC. */
export interface Machine {
  /** The process id, outside, of its first process. */
  readonly pid: number;
  /** Absolute path, outside, of a path inside. An absolute symbolic link on the way leads outside: see `run`. */
  readonly path: (inside: string) => string;
  /** Runs a program inside to its end. @param argv  the first is looked up in the machine's PATH */
  readonly run: (argv: readonly string[], options?: RunOptions) => Ended;
  /** Starts a program inside that stays; its output goes to `logDir`/NAME.log. */
  readonly start: (name: string, argv: readonly string[]) => Promise<Daemon>;
  /** Starts a program outside that has the machine's network only. */
  readonly startOnNetwork: (name: string, argv: readonly string[]) => Daemon;
  /** Ends every process at once and forgets everything that is not on disk. */
  readonly cutPower: () => Promise<void>;
  /** The same without waiting in between, for a process that is about to end. */
  readonly cutPowerAtExit: () => void;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

const bootMs = 20_000;
const runMs = 120_000;

/** A machine's own PATH; runc is Debian's, the rest is called by absolute path. */
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Where the machine sees a file of the folder of built programs. */
export function insidePath(file: string): string {
  return join("/opt/e2e", relative(cacheDir(), file));
}

/** Switches a machine on; returns once its file systems and network are there. */
export async function bootMachine(settings: MachineSettings): Promise<Machine> {
  const { id, disk, logDir, hostname, address } = settings;
  const hierarchies = makeCgroups(id);
  const groups = hierarchies.map(({ group }) => group);
  const bootLog = join(logDir, "boot.log");
  const words = [
    ...["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"],
    ...["--fork", "--kill-child=KILL", "sh", join(import.meta.dirname, "boot.sh")],
    ...[disk, hostname, address, cacheDir()],
    ...hierarchies.map(({ mount }) => mount),
  ];
  const outer = startDaemon("sh", ["-c", joinGroups, "sh", groups.join(" "), ...words], bootLog);
  const pid = await eventually(
    "a machine boots",
    bootMs,
    () => {
      const child = childOf(outer.pid);
      return child !== undefined && existsSync(`/proc/${child}/root/run/booted`)
        ? child
        : undefined;
    },
    () => (outer.isRunning() ? undefined : outer.lastWords()),
  );
  // Its groups as they are once it has moved itself: in version 2 not where it began.
  const inside = hierarchies.map(insideGroup);
  const enter = ["-c", joinGroups, "sh", inside.join(" "), "nsenter", "-t", `${pid}`];
  const everything = [...enter, "-m", "-n", "-p", "-u", "-i", "-C", "-r", "-w", "--"];
  const environment = { PATH: path, HOME: "/root", LANG: "C" };
  const bare = (argv: readonly string[], env: Readonly<Record<string, string>>) => [
    ...everything,
    ...["env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...argv],
  ];

  const outside: Daemon[] = [];
  const remove = () => removeCgroups((name) => name === id);
  return {
    pid,
    path: (file) => join(`/proc/${pid}/root`, file),
    run: (argv, { stdin = "", env = {}, deadlineMs = runMs } = {}) => {
      const startedMs = performance.now();
      const { status, stdout, stderr, error } = spawnSync(
        "sh",
        bare(argv, { ...environment, ...env }),
        {
          input: stdin,
          encoding: "utf8",
          timeout: deadlineMs,
          killSignal: "SIGKILL",
          maxBuffer: 256 << 20,
          env: cleanEnvironment(),
        },
      );
      if (error !== undefined) {
        throw new Error(`${argv.join(" ")}: ${error.message}\n${stderr}`);
      }
      return { status, stdout, stderr, ms: performance.now() - startedMs };
    },
    start: async (name, argv) => {
      const outer = startDaemon("sh", bare(argv, environment), join(logDir, `${name}.log`));
      const inner = await eventually(
        `${name} starts`,
        bootMs,
        () => childOf(outer.pid),
        () => (outer.isRunning() ? undefined : outer.lastWords()),
      );
      return {
        ...outer,
        pid: inner,
        // The one that is entered hears no signal of the one that entered.
        stop: async (signal) => {
          if (outer.isRunning()) {
            signalProcess(inner, signal);
            await eventually(`${name} ends`, bootMs, () => (outer.isRunning() ? undefined : true));
          }
        },
      };
    },
    startOnNetwork: (name, argv) => {
      const log = join(logDir, `${name}.log`);
      const daemon = startDaemon("nsenter", ["-t", `${pid}`, "-n", "--", ...argv], log);
      outside.push(daemon);
      return daemon;
    },
    cutPower: async () => {
      // The death of the first process of a process namespace is that of all.
      signalProcess(pid, "SIGKILL");
      await outer.stop("SIGKILL");
      await Promise.all(outside.map((daemon) => daemon.stop("SIGKILL")));
      await eventually("a machine goes dark", bootMs, () =>
        existsSync(`/proc/${pid}`) ? undefined : true,
      );
      remove();
    },
    cutPowerAtExit: () => {
      signalProcess(pid, "SIGKILL");
      for (const daemon of outside) {
        signalProcess(daemon.pid, "SIGKILL");
      }
      remove();
    },
  };
}

/** Enters each control group of $1, then becomes the rest of the words. */
const joinGroups = `for group in $1; do echo $$ > "$group/cgroup.procs" || exit 1; done; shift; exec "$@"`;

function insideGroup({ group, mount }: Hierarchy): string {
  return mount.startsWith(":") ? join(group, "init") : group;
}

function childOf(pid: number): number | undefined {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  const child = Number(text.split(" ")[0]);
  return child > 0 ? child : undefined;
}

/** Does nothing where the process has ended. */
function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended
  }
}
