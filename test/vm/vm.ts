import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startDaemon } from "../e2e/daemon.ts";
import { eventually } from "../e2e/node/wait.ts";
import type { Kernel } from "./kernel.ts";

export interface Disk {
  /** Absolute: a raw image. The first is /dev/vda, the root. */
  readonly file: string;
  /** What is written is forgotten with the machine. Left out: false. */
  readonly isForgetful?: boolean;
}

export interface VmSettings {
  /** Absolute: for the sockets and logs of this boot; must exist. */
  readonly dir: string;
  readonly kernel: Kernel;
  /** Absolute. */
  readonly initramfs: string;
  readonly disks: readonly Disk[];
  readonly memoryMiB: number;
  /** Of the clock in hardware, as QEMU's -rtc has it: `2029-01-01`. Left out: now. */
  readonly rtcBase?: string;
  /** Its network 192.0.2.0/24, and ports of its 192.0.2.2 by ports of this machine's loopback. Left out: no network. */
  readonly ports?: readonly { readonly outside: number; readonly inside: number }[];
  /** More words for the kernel's command line. */
  readonly words?: readonly string[];
  /** More words for QEMU, as for a TPM. */
  readonly devices?: readonly string[];
}

export interface GuestEnded {
  readonly status: number;
  /** Standard output and errors as they came. */
  readonly output: string;
}

/** A machine that is switched on. It ends with this process, at the latest. */
export interface Vm {
  /** What kernel and systemd have said on the first serial port. */
  readonly console: () => string;
  /** Every line that a program inside wrote to /dev/ttyS1 so far; grows. */
  readonly lines: readonly string[];
  /** Returns once the guest's agent takes commands. */
  readonly waitUntilUp: (deadlineMs?: number) => Promise<void>;
  /** Runs a shell script inside, one at a time, whatever its status. At most some 2,000 characters. */
  readonly run: (script: string, deadlineMs?: number) => Promise<GuestEnded>;
  /** As `run`. @throws {Error} when its status is not 0 */
  readonly demand: (script: string, deadlineMs?: number) => Promise<string>;
  readonly isRunning: () => boolean;
  /** Pulls the plug: what the guest had not given to its disk is lost. */
  readonly kill: () => Promise<void>;
}

const upMs = 240_000;
const runMs = 120_000;

/** Emulated unless told otherwise: `BLACKSTART_VM_ACCEL=kvm`. */
const accelerator = process.env["BLACKSTART_VM_ACCEL"] ?? "tcg,thread=multi";

let boots = 0;

/** Switches a machine on; returns once QEMU runs, long before the guest is up. */
export async function bootVm(settings: VmSettings): Promise<Vm> {
  const { dir, kernel, initramfs, disks, memoryMiB, rtcBase, ports, words = [] } = settings;
  const name = `boot-${++boots}`;
  const consoleFile = join(dir, `${name}.console`);
  const socketFile = join(dir, `${name}.sock`);
  const forwards = (ports ?? []).map(
    ({ outside, inside }) => `hostfwd=tcp:127.0.0.1:${outside}-192.0.2.2:${inside}`,
  );
  const network =
    ports === undefined
      ? []
      : [
          ...["-device", "virtio-net-pci,netdev=n0,romfile="],
          ...[
            "-netdev",
            [
              "user,id=n0,restrict=on,net=192.0.2.0/24,host=192.0.2.1,dns=192.0.2.3",
              ...forwards,
            ].join(),
          ],
        ];
  const drives = disks.flatMap(({ file, isForgetful = false }) => [
    "-drive",
    `file=${file},if=virtio,format=raw,cache=writeback${isForgetful ? ",snapshot=on" : ""}`,
  ]);
  const commandLine = [
    ...["console=ttyS0", "net.ifnames=0", "systemd.getty_auto=0", "mitigations=off", "nokaslr"],
    ...["systemd.show_status=1", "systemd.log_color=0", "random.trust_cpu=on", ...words],
  ];
  const daemon = startDaemon(
    "qemu-system-x86_64",
    [
      ...["-accel", accelerator, "-cpu", "max", "-smp", "2", "-m", `${memoryMiB}`],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-kernel", kernel.image, "-initrd", initramfs, "-append", commandLine.join(" ")],
      ...["-rtc", `base=${rtcBase ?? "utc"}`],
      ...drives,
      ...["-nic", "none", ...network],
      ...["-device", "virtio-rng-pci"],
      ...["-serial", `file:${consoleFile}`],
      ...["-chardev", `socket,id=agent,path=${socketFile},server=on,wait=on`],
      ...["-serial", "chardev:agent"],
      ...(settings.devices ?? []),
    ],
    join(dir, `${name}.qemu`),
  );
  // Before the folder is removed that it writes to.
  process.prependOnceListener("exit", () => {
    if (daemon.isRunning()) {
      process.kill(daemon.pid, "SIGKILL");
    }
  });
  const console = () => {
    try {
      return readFileSync(consoleFile, "utf8");
    } catch {
      return "";
    }
  };
  const lastWords = () => `${daemon.lastWords()}\n${console().split("\n").slice(-25).join("\n")}`;
  const isDead = () => (daemon.isRunning() ? undefined : `the machine ended: ${lastWords()}`);
  const socket = await eventually("QEMU starts", 30_000, () => open(socketFile), isDead);

  const lines: string[] = [];
  const answers = new Map<string, GuestEnded>();
  createInterface({ input: socket }).on("line", (line) => {
    const text = line.replaceAll("\r", "");
    const [, id, status, output] = text.match(/^@(\d+) (\d+) (\S*)$/) ?? [];
    if (id === undefined) {
      lines.push(text);
      return;
    }
    const bytes = Buffer.from(output ?? "", "base64");
    answers.set(id, { status: Number(status), output: bytes.toString("utf8") });
  });
  let asked = 0;
  const run: Vm["run"] = async (script, deadlineMs = runMs) => {
    const id = `${++asked}`;
    socket.write(`${id} ${Buffer.from(script).toString("base64")}\n`);
    const what = `the guest runs ${script.split("\n")[0]}`;
    return await eventually(what, deadlineMs, () => answers.get(id), isDead);
  };
  return {
    console,
    lines,
    waitUntilUp: async (deadlineMs = upMs) => {
      try {
        await eventually(
          "the guest is up",
          deadlineMs,
          () => lines.includes("@up") || undefined,
          isDead,
        );
      } catch (error) {
        throw new Error(`${error instanceof Error ? error.message : error}\n${lastWords()}`);
      }
    },
    run,
    demand: async (script, deadlineMs) => {
      const { status, output } = await run(script, deadlineMs);
      if (status !== 0) {
        throw new Error(`in the guest, ${script}: ${status}: ${output}`);
      }
      return output;
    },
    isRunning: daemon.isRunning,
    kill: async () => {
      await daemon.stop("SIGKILL");
      socket.destroy();
    },
  };
}

async function open(file: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(file, () => {
      // A machine whose plug is pulled resets the connection.
      socket.on("error", () => undefined);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}
