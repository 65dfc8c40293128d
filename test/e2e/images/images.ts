import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { buildBinary } from "../binaries.ts";
import { writeImageArchive } from "./archive.ts";

/** What a pod's own image reference says: `docker.io/library/NAME`. */
export const imageNames = ["pause:lab", "busybox:lab", "etcd:lab", "kube:lab"] as const;

const busybox = "/bin/busybox";

/** Makes the images of a node, where this has not been done. @returns absolute paths of their tars */
export function makeImages(): readonly string[] {
  const applets = listApplets();
  const kube = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;
  return [
    writeImageArchive("pause:lab", {
      programs: { "/bin/pause": busybox },
      links: { "/bin/sleep": "pause" },
      command: ["/bin/sleep", "2147483647"],
    }),
    writeImageArchive("busybox:lab", {
      programs: { "/bin/busybox": busybox },
      links: Object.fromEntries(applets.map((applet) => [`/bin/${applet}`, "busybox"])),
      texts: {
        "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "/etc/group": "root:x:0:\n",
      },
      shared: ["/tmp"],
      command: ["/bin/sh"],
    }),
    writeImageArchive("etcd:lab", { programs: { "/bin/etcd": buildBinary("etcd") } }),
    writeImageArchive("kube:lab", {
      programs: Object.fromEntries(kube.map((name) => [`/bin/${name}`, buildBinary(name)])),
    }),
  ];
}

function listApplets(): readonly string[] {
  if (!existsSync(busybox)) {
    throw new Error(`${busybox} is missing: apt-get install busybox-static`);
  }
  const { stdout } = spawnSync(busybox, ["--list"], { encoding: "utf8" });
  return stdout.split("\n").filter((applet) => applet !== "" && applet !== "busybox");
}
