import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";

/** A container that runs, as the runtime started it. */
export interface RunningContainer {
  readonly id: string;
  readonly namespace: string;
  /** As the kubelet calls it: a static pod's ends with the node's name. */
  readonly pod: string;
  readonly podUid: string;
  readonly container: string;
  /** In the machine's own count: `machine.path("/proc/PID/…")`. */
  readonly pid: number;
  /** The OCI specification: process.args, process.env, mounts, … */
  readonly spec: OciSpec;
}

/** Source: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md */
export interface OciSpec {
  readonly hostname?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly root?: Readonly<Record<string, unknown>>;
  readonly linux?: Readonly<Record<string, unknown>>;
  readonly process: {
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
  };
  readonly mounts: readonly {
    readonly destination: string;
    readonly source: string;
    readonly type: string;
    readonly options?: readonly string[];
  }[];
}

/** Where containerd's shim keeps each container's bundle. Source: containerd 2.3.7, core/runtime/v2/bundle.go. */
const bundles = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";

/** The containers of pods whose first process lives; the sandboxes are left out. */
export function runningContainers(machine: Machine): readonly RunningContainer[] {
  return readBundles(machine.path(bundles)).flatMap((id): readonly RunningContainer[] => {
    try {
      const bundle = join(machine.path(bundles), id);
      const spec = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as OciSpec;
      const pid = Number(readFileSync(join(bundle, "init.pid"), "utf8"));
      const { annotations = {} } = spec;
      const container = annotations["io.kubernetes.cri.container-name"];
      if (container === undefined || isDead(machine, pid)) {
        return [];
      }
      return [
        {
          id,
          namespace: annotations["io.kubernetes.cri.sandbox-namespace"] ?? "",
          pod: annotations["io.kubernetes.cri.sandbox-name"] ?? "",
          podUid: annotations["io.kubernetes.cri.sandbox-uid"] ?? "",
          container,
          pid,
          spec,
        },
      ];
    } catch {
      // being made, or being removed
      return [];
    }
  });
}

function readBundles(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    // containerd has started nothing yet
    return [];
  }
}

function isDead(machine: Machine, pid: number): boolean {
  const status = readFileSync(machine.path(`/proc/${pid}/stat`), "utf8");
  // After the name in parentheses, which may hold anything.
  return "ZX".includes(status.slice(status.lastIndexOf(")") + 2)[0] ?? "X");
}
