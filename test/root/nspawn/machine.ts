import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpackBaseSystem } from "./base-system.ts";
import { executable, type Files, install, writeFiles } from "./installation.ts";
import { type Boot, parseBoot } from "./report.ts";
import { type RunningMachine, startMachine } from "./running-machine.ts";

const here = import.meta.dirname;

/** Why no machine can be booted here, or undefined when one can. */
export function reasonForNoMachine(): string | undefined {
  if (process.getuid?.() !== 0) {
    return "not root";
  }
  const missing = ["systemd-nspawn", "debootstrap", "unshare", "setpriv"].filter(
    (tool) => spawnSync(tool, ["--version"]).error !== undefined,
  );
  if (missing.length > 0) {
    return `${missing.join(" and ")} missing (Debian: systemd-container, debootstrap, util-linux)`;
  }
  return existsSync(executable) ? undefined : "dist/blackstart missing; npm run build makes it";
}

/** A disk with systemd, our units and executable, and all changes that its boots make. */
export interface Machine {
  /** Changes: an overlay's upper directory. */
  readonly upper: string;
  /** Runs one command in the machine without booting it. */
  run(...words: readonly string[]): { readonly status: number | null; readonly output: string };
  /** Boots until the report, then cuts the power. */
  boot(...options: readonly string[]): Boot;
  /** Boots, and gives it as soon as it has booted. It has this machine's network. */
  start(): Promise<RunningMachine>;
  write(files: Files): void;
}

/** Machines that share one prepared disk; each has its own changes. All vanish with this process. */
export class Machines implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "blackstart-nspawn-"));
  readonly #janitor = spawn(
    "setpriv",
    ["--pdeathsig", "TERM", join(here, "janitor.sh"), this.#dir],
    {
      stdio: "ignore",
    },
  );
  #count = 0;
  #prepared: string;

  /** Unpacks, installs, then lets `prepare` run commands on the disk that all machines start from. */
  constructor(prepare: (machine: Machine) => void) {
    this.#janitor.unref();
    const base = join(this.#dir, "base");
    unpackBaseSystem(base);
    this.#prepared = base;
    const machine = this.make();
    install(machine.upper);
    prepare(machine);
    this.#prepared = `${machine.upper}:${base}`;
  }

  make(files: Files = {}): Machine {
    const dir = join(this.#dir, `machine-${this.#count++}`);
    const layers = this.#prepared;
    const upper = join(dir, "upper");
    mkdirSync(upper, { recursive: true });
    const boot = ["--pdeathsig", "TERM", join(here, "boot.sh"), layers, dir];
    const nspawn = (words: readonly string[]) => {
      const all = [...boot, "--private-network", ...words];
      const { status, stdout, stderr } = spawnSync("setpriv", all, {
        encoding: "utf8",
        timeout: 120_000,
        env: { PATH: process.env["PATH"] },
      });
      return { status, output: `${stdout}${stderr}` };
    };
    const machine: Machine = {
      upper,
      run: (...words) => nspawn(words),
      boot: (...options) => {
        const report = join(dir, "report");
        rmSync(report, { recursive: true, force: true });
        mkdirSync(report);
        const { status, output } = nspawn(["--boot", `--bind=${report}:/report`, ...options]);
        if (status !== 0 || !existsSync(join(report, "journal"))) {
          throw new Error(`no report (exit ${status}); the console said:\n${output}`);
        }
        return parseBoot(report);
      },
      start: () => startMachine("setpriv", [...boot, "--boot"]),
      write: (changes) => writeFiles(upper, changes),
    };
    machine.write(files);
    return machine;
  }

  [Symbol.dispose](): void {
    // One after the other: two that remove the same tree get into each other's way.
    rmSync(this.#dir, { recursive: true, force: true });
    this.#janitor.kill();
  }
}
