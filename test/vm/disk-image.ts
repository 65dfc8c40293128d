import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildIfStale } from "../../scripts/build.mjs";
import { unpackBaseSystem } from "../root/nspawn/base-system.ts";
import { fetchKernel, installModules, type Kernel, makeInitramfs } from "./kernel.ts";
import { demandRun } from "./run.ts";

/** What a machine boots from. */
export interface BootFiles {
  readonly kernel: Kernel;
  /** Absolute. */
  readonly initramfs: string;
  /** Absolute: the root file system as a folder, to be changed before `makeImage`. */
  readonly tree: string;
}

const repository = join(import.meta.dirname, "../..");

/** What a machine has and a container has not. */
const packages = ["udev", "kmod", "iproute2", "runc", "util-linux"];

const onNetwork = `[Match]
Name=eth0
[Network]
Address=192.0.2.2/24
Gateway=192.0.2.1
`;

/** Makes a folder in the machine's temporary folder; it goes when this process ends, also when that is interrupted. */
export function makeVmDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-vm-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(128));
  }
  return dir;
}

/**
 * Makes a Debian with systemd, our units and executable as a package would install them, and the test's agent.
 *
 * @param dir  absolute, exists
 */
export async function makeBootFiles(dir: string): Promise<BootFiles> {
  const executable = await buildIfStale();
  const kernel = fetchKernel();
  const tree = join(dir, "tree");
  unpackBaseSystem(tree, packages);
  const initramfs = join(dir, "initramfs");
  makeInitramfs(initramfs, installModules(tree, kernel));
  const units = join(repository, "systemd");
  for (const name of readdirSync(units).filter((file) => /\.(service|mount|timer)$/.test(file))) {
    place(join(units, name), join(tree, "usr/lib/systemd/system", name));
  }
  place(join(units, "blackstart.tmpfiles"), join(tree, "usr/lib/tmpfiles.d/blackstart.conf"));
  place(
    join(units, "blackstart.preset"),
    join(tree, "usr/lib/systemd/system-preset/80-blackstart.preset"),
  );
  place(executable, join(tree, "usr/bin/blackstart"), 0o755);
  const guest = join(import.meta.dirname, "guest");
  for (const name of readdirSync(guest)) {
    const isUnit = name.endsWith(".service");
    const to = isUnit ? "etc/systemd/system" : "usr/local/bin";
    place(join(guest, name), join(tree, to, name), isUnit ? 0o644 : 0o755);
  }
  writeTexts(tree, {
    "etc/hostname": "node1\n",
    "etc/hosts": "127.0.0.1 localhost\n192.0.2.2 node1\n",
    "etc/machine-id": "5f0c3d0f6d1c4b7f9c1d2e3f4a5b6c7d\n",
    "etc/fstab": "",
    "etc/systemd/network/10-eth0.network": onNetwork,
    // Keeps the journal on the disk.
    "var/log/journal/.keep": "",
  });
  mkdirSync(join(tree, "etc/kubernetes/manifests"), { recursive: true });
  inTree(tree, "systemctl", "enable", "agent.service");
  inTree(tree, "systemctl", "mask", "systemd-timesyncd.service", "apt-daily.timer");
  return { kernel, initramfs, tree };
}

/** Runs a program of the tree's to its end, with /proc and an empty /run. @throws {Error} where it fails */
export function inTree(tree: string, ...words: readonly string[]): string {
  const script =
    'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/run" && exec chroot "$0" "$@"';
  return demandRun("unshare", ["--mount", "sh", "-c", script, tree, ...words]);
}

/** Writes files below a tree, by relative path; one that begins with `#!` is executable. */
export function writeTexts(tree: string, texts: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(texts)) {
    const file = join(tree, path);
    mkdirSync(dirname(file), { recursive: true });
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: text.startsWith("#!") ? 0o755 : 0o644 });
  }
}

/** Writes a raw ext4 image with what a folder holds. @param free  MiB besides that */
export function makeImage(file: string, folder: string, free: number): void {
  const used = Number(demandRun("du", ["-sm", "--apparent-size", folder]).split("\t")[0]);
  const size = Math.ceil(used * 1.15) + free;
  demandRun("mke2fs", ["-q", "-F", "-t", "ext4", "-d", folder, file, `${size}M`]);
}

function place(from: string, to: string, mode = 0o644): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

/** Copies folders of another root directory, by relative path, over those of the tree. */
export function adoptFolders(tree: string, from: string, paths: readonly string[]): void {
  for (const path of paths) {
    rmSync(join(tree, path), { recursive: true, force: true });
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    demandRun("cp", ["-a", "--reflink=auto", join(from, path), join(tree, path)]);
  }
}
