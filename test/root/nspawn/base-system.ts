import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const release = "bookworm";
const packages = ["systemd", "systemd-sysv", "dbus", "openssl"];
/** What a machine that only boots never reads. */
const ballast = [
  "var/cache/apt",
  "var/lib/apt/lists",
  "usr/share/doc",
  "usr/share/man",
  "usr/share/locale",
];

/**
 * Unpacks a Debian with systemd into `dir`, which must be missing.
 *
 * It is made with debootstrap once and then kept in the user's cache, which only saves time.
 *
 * @param more  packages besides those of a container
 */
export function unpackBaseSystem(dir: string, more: readonly string[] = []): void {
  const wanted = [...packages, ...more];
  const archive = cachedArchive(wanted);
  if (!existsSync(archive)) {
    makeArchive(archive, `${dir}.debootstrap`, wanted);
  }
  mkdirSync(dir, { mode: 0o755 });
  run("tar", ["--extract", "--gzip", "--numeric-owner", "--file", archive, "--directory", dir]);
}

function cachedArchive(wanted: readonly string[]): string {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const content = createHash("sha256")
    .update([release, ...wanted, ...ballast].join())
    .digest("hex");
  return join(cache, "blackstart", `nspawn-${release}-${content.slice(0, 12)}.tar.gz`);
}

function makeArchive(archive: string, dir: string, wanted: readonly string[]): void {
  // In namespaces of its own: debootstrap mounts /proc and /sys, and leaves them when interrupted.
  run("unshare", [
    ...["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"],
    ...["debootstrap", "--variant=minbase", `--include=${wanted.join()}`, release, dir],
  ]);
  for (const path of ballast) {
    rmSync(join(dir, path), { recursive: true, force: true });
  }
  mkdirSync(dirname(archive), { recursive: true });
  const unfinished = `${archive}.${process.pid}`;
  run("tar", [
    "--create",
    "--gzip",
    "--numeric-owner",
    "--file",
    unfinished,
    "--directory",
    dir,
    ".",
  ]);
  renameSync(unfinished, archive);
  rmSync(dir, { recursive: true, force: true });
}

function run(command: string, words: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (status !== 0) {
    const said = `${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${command} ended with ${status ?? error?.message}:\n${said}`);
  }
}
