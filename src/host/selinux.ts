import type { Warning } from "../model/plan.ts";

/**
 * The label that every container may read, whatever category pair its runtime picked for it.
 * Source: container-selinux 2.2 `container_contexts`; no category, see kubernetes v1.37.2
 * pkg/volume/hostpath/host_path.go `GetAttributes`, which has the runtime leave host paths alone.
 */
const label = "system_u:object_r:container_file_t:s0";

/**
 * Labels directories and all that lies in them. Runs chcon(1) once; follows no link.
 *
 * @returns a warning when it could not: the pods still start, and may be denied their files
 */
export function labelTrees(dirs: readonly string[]): Warning[] {
  if (dirs.length === 0) {
    return [];
  }
  // Loaded only here: most hosts need no child process.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const { status, error } = spawnSync("chcon", ["-h", "-R", label, "--", ...dirs], {
    stdio: "ignore",
    timeout: 30_000,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  if (status === 0) {
    return [];
  }
  const reason = error === undefined ? `chcon exited ${status}` : `chcon: ${error.message}`;
  return [
    {
      code: "W_SELINUX",
      message: `volumes are not labelled container_file_t (${reason}): containers may be denied their files`,
    },
  ];
}
