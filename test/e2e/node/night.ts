import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunOptions } from "./machine.ts";
import type { Node } from "./node.ts";

/** What of a node's disk a restore reads and writes. */
const parts = ["var/lib/blackstart", "etc/blackstart", "etc/kubernetes"];
const manifests = "/etc/kubernetes/manifests";
const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** What `restore` has made visible, by everything that a pod could see of it. */
export interface Projection {
  readonly pods: number;
  /** Path, kind, mode, owner and content of each file, link and directory. */
  readonly files: readonly string[];
}

/** Keeps what lies on the disk of a node that is off. @returns lays it out again as it was, as often as called */
export function keepDisk(node: Node): (() => void) & Disposable {
  const kept = mkdtempSync(join(tmpdir(), "blackstart-night-"));
  const copy = (from: string, to: string) => {
    for (const part of parts) {
      rmSync(join(to, part), { recursive: true, force: true });
      mkdirSync(join(to, part, ".."), { recursive: true });
      cpSync(join(from, part), join(to, part), { recursive: true, preserveTimestamps: true });
    }
  };
  copy(node.disk, kept);
  return Object.assign(() => copy(kept, node.disk), {
    [Symbol.dispose]: () => rmSync(kept, { recursive: true }),
  });
}

/** Makes a program on the node believe another time. @param time  as faketime(1) has it: `-1d`, `@1970-01-01 00:00:10` */
export function at(time: string): RunOptions {
  return { env: { LD_PRELOAD: faketime, FAKETIME: time } };
}

/** Why no program here can be made to believe another time; undefined where it can. */
export function lackingForClock(): string | undefined {
  return existsSync(faketime) ? undefined : `${faketime} is missing: apt-get install faketime`;
}

/** Runs a line of shell on the node; it must succeed. */
export function shell(node: Node, line: string): string {
  const { status, stdout, stderr } = node.run(["sh", "-ec", line]);
  assert.equal(status, 0, `${line}: ${stdout}${stderr}`);
  return stdout;
}

/** What is projected now; asserts that each pod of it is whole. */
export function projection(node: Node): Projection {
  // Looked at from inside: a disk of its own may lie over the folder.
  const folder = node.path(manifests);
  const pods = readdirSync(folder)
    .map((name) => ({ name, target: readlinkSync(join(folder, name)) }))
    .filter(({ target }) => existsSync(node.path(target)));
  for (const { name, target } of pods) {
    const manifest = readFileSync(node.path(target), "utf8");
    for (const [volume] of manifest.matchAll(/\/run\/blackstart\/pods\/[^"]+/g)) {
      assert.ok(existsSync(node.path(volume)), `${name} is visible without ${volume}`);
    }
  }
  const links = pods.map(({ name, target }) => `${manifests}/${name} -> ${target}`);
  const memory = node.path("/run/blackstart");
  const files = readdirSync(memory, { recursive: true, encoding: "utf8" })
    .filter((name) => /^(pods|manifests)\//.test(name))
    .map((name) => describe(join(memory, name), name));
  return { pods: pods.length, files: [...links, ...files].sort() };
}

function describe(file: string, name: string): string {
  const stat = lstatSync(file);
  const content = stat.isSymbolicLink()
    ? readlinkSync(file)
    : stat.isFile()
      ? createHash("sha256").update(readFileSync(file)).digest("hex")
      : "";
  return [name, stat.mode.toString(8), stat.uid, stat.gid, content].join(" ");
}
