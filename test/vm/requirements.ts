import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { reasonForNoKernel } from "./kernel.ts";

/** Program → Debian package. */
const programs: Readonly<Record<string, string>> = {
  "qemu-system-x86_64": "qemu-system-x86",
  debootstrap: "debootstrap",
  mke2fs: "e2fsprogs",
  setpriv: "util-linux",
  unshare: "util-linux",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
};

/** Why no virtual machine can be booted here, in words for a person who would change that; undefined where one can. */
export function lackingForVm(): string | undefined {
  if (process.getuid?.() !== 0) {
    return "not root";
  }
  if (process.arch !== "x64") {
    return `this machine is ${process.arch}, not x64`;
  }
  const missing = Object.entries(programs).filter(
    ([name]) => spawnSync("which", [name]).status !== 0,
  );
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(" ");
    return `missing: ${missing.map(([name]) => name).join(", ")} (apt-get install ${packages})`;
  }
  if (!existsSync("/bin/busybox")) {
    return "/bin/busybox is missing: apt-get install busybox-static";
  }
  return reasonForNoKernel();
}
