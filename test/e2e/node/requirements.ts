import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const programs = ["go", "runc", "unshare", "nsenter", "setpriv", "ip", "tar", "openssl"];

/** Why this machine cannot run a node, in words for a person who would change that; undefined where it can. */
export function lackingForNode(): string | undefined {
  if (process.getuid?.() !== 0) {
    return "not root";
  }
  const missing = programs.filter((name) => spawnSync("which", [name]).status !== 0);
  if (missing.length > 0) {
    return `missing: ${missing.join(", ")}`;
  }
  if (!existsSync("/bin/busybox")) {
    return "/bin/busybox is missing: apt-get install busybox-static";
  }
  if (!readFileSync("/proc/filesystems", "utf8").includes("\toverlay\n")) {
    return "the kernel has no overlay file system";
  }
  const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork"];
  const link = ["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"];
  const { status, stderr } = spawnSync("unshare", [...namespaces, ...link], { encoding: "utf8" });
  return status === 0 ? undefined : `no namespaces with a network of their own: ${stderr.trim()}`;
}
