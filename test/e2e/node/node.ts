import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale } from "../../../scripts/build.mjs";
import type { KubeletMinor } from "../binaries.ts";
import type { Daemon } from "../daemon.ts";
import { startContainerd } from "./containerd.ts";
import { type RunningContainer, runningContainers } from "./containers.ts";
import { copyTree } from "./copy-tree.ts";
import { installExecutable, layOutDisk } from "./disk.ts";
import { forwardPorts } from "./forward.ts";
import { type KubeletOverrides, kubeletReadOnlyPort, startKubelet } from "./kubelet.ts";
import { bootMachine, type Ended, type Machine, type RunOptions } from "./machine.ts";
import { makeNodeDir, nodeId } from "./residue.ts";

export interface NodeSettings {
  /** Left out: 1.37. */
  readonly kubelet?: KubeletMinor;
  /** Left out: node1, as in the recorded objects. */
  readonly name?: string;
  /** Left out: 192.0.2.2. */
  readonly address?: string;
  /** Absolute: what `Node.save` has written, to begin with in place of an empty disk. */
  readonly saved?: string;
}

/** A pod as the kubelet tells of it. */
export interface KubeletPod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly containers: readonly { readonly name: string }[] };
  readonly status: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** A whole node on this machine: a disk that lasts, and, while it is on, real kubelet and containerd. */
export interface Node extends AsyncDisposable {
  readonly name: string;
  readonly address: string;
  /** Absolute: the node's root directory, for what it has on disk. Without tmpfs: see `path`. */
  readonly disk: string;
  /** Absolute: boot.log, containerd.log, kubelet.log of all boots. */
  readonly logDir: string;
  /** Absolute: for the keys of the cluster that lives on it. */
  readonly pkiDir: string;
  /** Outside, for the apiserver's port 6443: `https://127.0.0.1:PORT`. */
  readonly apiserverUrl: string;
  /** The machine that is on. @throws {Error} when the node is off */
  readonly machine: () => Machine;
  /** Switches the node on. Nothing runs then: as after the kernel's own part of a boot. */
  readonly boot: () => Promise<void>;
  /** Every process is gone at once, and everything that is not on disk. */
  readonly powerCut: () => Promise<void>;
  /** Returns once it answers; the first time with the images imported. */
  readonly startContainerd: () => Promise<Daemon>;
  /** Returns at once. Overrides are fields of its configuration. */
  readonly startKubelet: (overrides?: KubeletOverrides) => Promise<Daemon>;
  /** Runs blackstart on the node to its end, whatever its status. */
  readonly blackstart: (args: readonly string[], options?: RunOptions) => Ended;
  /** Runs another program on the node to its end, whatever its status. */
  readonly run: (argv: readonly string[], options?: RunOptions) => Ended;
  /** Absolute path, outside, of what the node has there now, tmpfs included; only while it is on. */
  readonly path: (inside: string) => string;
  /** What its kubelet says it runs; fails while no kubelet answers. */
  readonly kubeletPods: () => Promise<readonly KubeletPod[]>;
  /** What its runtime runs, without sandboxes. */
  readonly containers: () => readonly RunningContainer[];
  /** Runs a program of the node inside a container's namespaces and root: what the container sees. */
  readonly exec: (container: RunningContainer, argv: readonly string[]) => Ended;
  /** Unplugs or plugs in its network; its own loopback stays. */
  readonly setNetwork: (isUp: boolean) => void;
  /** Copies disk and keys of the node, which is off, into a new folder. */
  readonly save: (dir: string) => void;
  readonly dispose: () => Promise<void>;
}

const apiserverPort = 6443;

/** Makes a node and leaves it switched off. Everything of it is gone when it is disposed of, or this process ends. */
export async function makeNode(settings: NodeSettings = {}): Promise<Node> {
  const { kubelet = "1.37", name = "node1", address = "192.0.2.2", saved } = settings;
  const executable = await buildIfStale();
  const dir = makeNodeDir();
  const [disk, pkiDir] = [join(dir, "disk"), join(dir, "pki")];
  const [logDir, socketDir] = [join(dir, "log"), join(dir, "sock")];
  for (const made of [logDir, socketDir]) {
    mkdirSync(made);
  }
  let machine: Machine | undefined;
  const remove = () => {
    keepLogs(dir);
    rmSync(dir, { recursive: true, force: true });
  };
  onEnd(() => {
    machine?.cutPowerAtExit();
    remove();
  });
  if (saved === undefined) {
    layOutDisk(disk, name, address);
  } else {
    copyTree(join(saved, "disk"), disk);
    copyTree(join(saved, "pki"), pkiDir);
  }
  installExecutable(disk, executable);
  const forwarding = await forwardPorts(socketDir, [apiserverPort, kubeletReadOnlyPort]);
  const current = () => {
    if (machine === undefined) {
      throw new Error(`${name} is switched off`);
    }
    return machine;
  };
  const powerCut = async () => {
    await machine?.cutPower();
    machine = undefined;
  };
  const dispose = async () => {
    await powerCut();
    forwarding.close();
    remove();
  };
  const run: Node["run"] = (argv, options) => current().run(argv, options);
  return {
    name,
    address,
    disk,
    logDir,
    pkiDir,
    apiserverUrl: `https://127.0.0.1:${forwarding.outside(apiserverPort)}`,
    machine: current,
    boot: async () => {
      if (machine !== undefined) {
        throw new Error(`${name} is switched on already`);
      }
      const id = nodeId(dir);
      machine = await bootMachine({ id, disk, logDir, hostname: name, address });
      await forwarding.start(machine);
    },
    powerCut,
    startContainerd: () => startContainerd(current(), disk),
    startKubelet: (overrides = {}) => startKubelet(current(), disk, kubelet, address, overrides),
    blackstart: (args, options) => run(["/usr/bin/blackstart", ...args], options),
    run,
    path: (inside) => current().path(inside),
    kubeletPods: async () => {
      const port = forwarding.outside(kubeletReadOnlyPort);
      const answer = await fetch(`http://127.0.0.1:${port}/pods`, {
        signal: AbortSignal.timeout(10_000),
      });
      const { items } = (await answer.json()) as { readonly items: readonly KubeletPod[] | null };
      return items ?? [];
    },
    containers: () => runningContainers(current()),
    exec: ({ pid }, argv) => run(["nsenter", "-t", `${pid}`, "-a", "-r", "-w", "--", ...argv]),
    setNetwork: (isUp) => {
      const { status, stderr } = run(["ip", "link", "set", "wire", isUp ? "up" : "down"]);
      if (status !== 0) {
        throw new Error(`the network of ${name}: ${stderr}`);
      }
    },
    save: (target) => {
      if (machine !== undefined) {
        throw new Error(`${name} is switched on: its disk is not at rest`);
      }
      mkdirSync(target, { mode: 0o700 });
      copyTree(disk, join(target, "disk"));
      copyTree(pkiDir, join(target, "pki"));
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

/** For a person who looks for a fault: logs of the node's programs and pods go to $BLACKSTART_E2E_LOGS. */
function keepLogs(dir: string): void {
  const kept = process.env["BLACKSTART_E2E_LOGS"];
  if (kept !== undefined && existsSync(dir)) {
    cpSync(join(dir, "log"), join(kept, nodeId(dir)), { recursive: true });
    const pods = join(dir, "disk/var/log/pods");
    if (existsSync(pods)) {
      cpSync(pods, join(kept, nodeId(dir), "pods"), { recursive: true });
    }
  }
}

/** Also when it is interrupted; only a SIGKILL leaves it to the next run. */
function onEnd(clean: () => void): void {
  process.once("exit", clean);
  // Without this Node may spin for ever once all is done: it waits for requests that no loop holds any more
  // (Environment::CleanupHandles of v24.21, after many child processes and connections cut).
  process.once("beforeExit", () => process.exit());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(128));
  }
}
