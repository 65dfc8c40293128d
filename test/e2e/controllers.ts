import { join } from "node:path";
import { buildBinary } from "./binaries.ts";
import type { ControlPlane } from "./control-plane.ts";
import { startDaemon } from "./daemon.ts";
import { findLoopbackPort } from "./loopback-port.ts";

/** A real kube-controller-manager and a real kube-scheduler beside a control plane. */
export interface Controllers {
  readonly stop: () => Promise<void>;
}

/**
 * Starts both as admins; returns at once, they retry by themselves.
 *
 * @param dir  of the control plane; gets `kube-controller-manager.log` and `kube-scheduler.log`
 * @param managerFlags  come last, so that they win over ours
 */
export async function startControllers(
  dir: string,
  { adminKubeconfig }: ControlPlane,
  managerFlags: readonly string[] = [],
): Promise<Controllers> {
  const common = async () => [
    `--kubeconfig=${adminKubeconfig}`,
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    `--secure-port=${await findLoopbackPort()}`,
    `--cert-dir=${dir}`,
  ];
  const manager = [
    ...(await common()),
    `--root-ca-file=${join(dir, "ca.crt")}`,
    `--service-account-private-key-file=${join(dir, "service-account.key")}`,
    ...managerFlags,
  ];
  const daemons = [
    start("kube-controller-manager", manager),
    start("kube-scheduler", await common()),
  ];
  return {
    stop: async () => {
      await Promise.all(daemons.map((daemon) => daemon.stop("SIGKILL")));
    },
  };

  function start(name: "kube-controller-manager" | "kube-scheduler", args: readonly string[]) {
    return startDaemon(buildBinary(name), args, join(dir, `${name}.log`));
  }
}
