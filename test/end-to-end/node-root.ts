import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StoreKey } from "../../src/model/store-key.ts";
import { succeed } from "./executable.ts";
import { objects } from "./objects.ts";

/** A node's file system under a directory in memory, with a key and two generations. Removed with it. */
export interface NodeRoot extends Disposable {
  readonly root: string;
  readonly store: string;
  readonly keys: string;
  readonly manifests: string;
  /** A path under the root. */
  readonly at: (path: string) => string;
  /** The sealed file of a generation. */
  readonly generation: (number: number) => string;
  /** The node's key, from its plain slot. */
  readonly key: () => StoreKey;
  /** Writes objects to a file outside the root's own tree and gives its path. */
  readonly objects: (...items: readonly object[]) => string;
}

/** statfs(2) type of tmpfs. Above `memory`, which is computed when the module loads. */
const tmpfs = 0x01021994;

/** A directory in memory where tests may write, undefined when there is none. */
export const memory = [process.env["XDG_RUNTIME_DIR"], "/dev/shm", tmpdir()].find(isMemory);

/** A directory that is not in memory, undefined when there is none. */
export const disk = [tmpdir(), "/var/tmp"].find((place) => !isMemory(place));

function isMemory(place: string | undefined): place is string {
  try {
    if (place === undefined || statfsSync(place).type !== tmpfs) {
      return false;
    }
    accessSync(place, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A node without key and store: directories and configuration alone. */
export function bareNode(place = memory): NodeRoot {
  const root = mkdtempSync(join(place ?? tmpdir(), "blackstart-e2e-"));
  makeDirectories(root);
  return nodeAt(root);
}

/** A node with a key and the generations 1 and 2. */
export function nodeWithStore(place = memory): NodeRoot {
  return nodeWith(fillStore, place);
}

/** A node as `fill` makes it, which is done once: every node is a copy of the first. */
export function nodeWith(fill: (node: NodeRoot) => void, place = memory): NodeRoot {
  const template = templates.get(fill) ?? makeTemplate(fill);
  const root = mkdtempSync(join(place ?? tmpdir(), "blackstart-e2e-"));
  spawnSync("cp", ["-a", `${template}/.`, root]);
  return nodeAt(root);
}

const templates = new Map<(node: NodeRoot) => void, string>();

function makeTemplate(fill: (node: NodeRoot) => void): string {
  const node = bareNode();
  process.once("exit", () => node[Symbol.dispose]());
  fill(node);
  templates.set(fill, node.root);
  return node.root;
}

function fillStore(node: NodeRoot): void {
  succeed(["key", "init", "--slot", "plain", "--root", node.root]);
  for (const level of ["old", "new"]) {
    capture(node, ...objects({ level }));
  }
}

/** Commits a generation of these objects. */
export function capture(node: NodeRoot, ...items: readonly object[]) {
  return succeed([
    "capture",
    "--root",
    node.root,
    "--node",
    "n1",
    "--from",
    node.objects(...items),
  ]);
}

function makeDirectories(root: string): void {
  for (const path of ["etc/kubernetes/manifests", "etc/blackstart", "var/lib", "run", "in"]) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
  }
  writeFileSync(join(root, "etc/blackstart/config.yaml"), "swap: allow\n");
}

function nodeAt(root: string): NodeRoot {
  const at = (path: string) => join(root, path);
  let count = 0;
  return {
    root,
    at,
    store: at("var/lib/blackstart"),
    keys: at("etc/blackstart/keys"),
    manifests: at("etc/kubernetes/manifests"),
    generation: (number) => at(`var/lib/blackstart/gen-${String(number).padStart(20, "0")}.jwe`),
    key: () => {
      const keys = at("etc/blackstart/keys");
      const [name = ""] = readdirSync(keys).filter((slot) => slot.endsWith(".plain"));
      return StoreKey.parse(readFileSync(join(keys, name)), name);
    },
    objects: (...items) => {
      const file = at(`in/objects-${count++}.json`);
      writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
      return file;
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** What restore has shown to the kubelet: the names in the manifest directory, sorted. */
export function shown({ manifests }: NodeRoot): readonly string[] {
  return existsSync(manifests) ? readdirSync(manifests).sort() : [];
}
