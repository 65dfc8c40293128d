import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { buildBinary } from "../binaries.ts";

/** What of the root directory links into /usr where a distribution has merged them. */
const merged = ["bin", "sbin", "lib", "lib64"];

const folders = [
  ...[".usr/upper/bin", ".usr/work", "usr", "opt/e2e", "opt/cni/bin"],
  ...["proc", "sys", "dev", "run", "tmp", "root", "home", "boot", "old"],
  ...["etc/kubernetes/manifests", "etc/cni/net.d", "etc/containerd", "etc/ssl/certs"],
  ...["etc/blackstart", "var/lib/kubelet", "var/lib/etcd", "var/log", "var/tmp"],
];

/** A pod gets an address of its own; it reaches the node and other pods. */
const network = {
  cniVersion: "1.0.0",
  name: "pods",
  plugins: [
    {
      type: "ptp",
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: "10.88.0.0/24" }]],
        routes: [{ dst: "0.0.0.0/0" }],
      },
    },
  ],
};

/**
 * Lays out the root directory of a machine before its first boot: everything that no program of it makes by itself.
 *
 * @param disk  absolute, made here
 */
export function layOutDisk(disk: string, hostname: string, address: string): void {
  for (const folder of folders) {
    mkdirSync(join(disk, folder), { recursive: true });
  }
  chmodSync(join(disk, "root"), 0o700);
  symlinkSync("/run", join(disk, "var/run"));
  for (const name of merged) {
    if (lstatSync(`/${name}`, { throwIfNoEntry: false })?.isSymbolicLink()) {
      symlinkSync(readlinkSync(`/${name}`), join(disk, name));
    }
  }
  const texts = {
    hostname: `${hostname}\n`,
    hosts: `127.0.0.1 localhost\n${address} ${hostname}\n`,
    "resolv.conf": "nameserver 127.0.0.1\n",
    "machine-id": `${randomBytes(16).toString("hex")}\n`,
    passwd: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    group: "root:x:0:\nnogroup:x:65534:\n",
    "os-release": "ID=e2e\nNAME=e2e\nPRETTY_NAME=e2e\n",
    "cni/net.d/05-pods.conflist": JSON.stringify(network, undefined, 2),
  };
  for (const [name, text] of Object.entries(texts)) {
    writeFile(join(disk, "etc", name), text);
  }
  for (const plugin of ["loopback", "ptp", "host-local"] as const) {
    copyFileSync(buildBinary(plugin), join(disk, "opt/cni/bin", plugin));
  }
}

/** Makes it /usr/bin/blackstart. */
export function installExecutable(disk: string, executable: string): void {
  copyFileSync(executable, join(disk, ".usr/upper/bin/blackstart"));
}

function writeFile(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
