import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildBinary } from "../binaries.ts";
import type { Daemon } from "../daemon.ts";
import { makeImages } from "../images/images.ts";
import { insidePath, type Machine } from "./machine.ts";
import { eventually } from "./wait.ts";

export const containerdSocket = "/run/containerd/containerd.sock";

const startMs = 30_000;
const importMs = 120_000;

/** Other sections keep containerd's defaults. Format: version 3, of containerd 2. */
function configuration(shimDir: string): string {
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "${containerdSocket}"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "docker.io/library/pause:lab"

[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  # Where root may not lower it, runc cannot start a sandbox.
  restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  runtime_path = "${shimDir}/containerd-shim-runc-v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
`;
}

/**
 * Starts containerd and waits until it answers. The images are put in the first time.
 *
 * @param disk  the machine's root directory
 */
export async function startContainerd(machine: Machine, disk: string): Promise<Daemon> {
  const shimDir = dirname(insidePath(buildBinary("containerd-shim-runc-v2")));
  writeFileSync(join(disk, "etc/containerd/config.toml"), configuration(shimDir));
  const isFirst = !existsSync(join(disk, "var/lib/containerd"));
  const daemon = await machine.start("containerd", [
    insidePath(buildBinary("containerd")),
    "--config=/etc/containerd/config.toml",
  ]);
  await eventually(
    "containerd answers",
    startMs,
    () => (ctr(machine, ["version"]).status === 0 ? true : undefined),
    () => (daemon.isRunning() ? undefined : daemon.lastWords()),
  );
  if (isFirst) {
    for (const archive of makeImages()) {
      const words = ["--local", "--snapshotter=overlayfs", insidePath(archive)];
      const { status, stderr } = ctr(machine, ["images", "import", ...words]);
      if (status !== 0) {
        throw new Error(`ctr images import ${archive}: ${stderr}`);
      }
    }
  }
  return daemon;
}

/** Asks containerd in the namespace of Kubernetes. */
export function ctr(machine: Machine, words: readonly string[]) {
  const program = insidePath(buildBinary("ctr"));
  const argv = [program, "-a", containerdSocket, "-n", "k8s.io", ...words];
  return machine.run(argv, { deadlineMs: importMs });
}
