// The pinned Node of any architecture: ours from node_modules, the other from the registry, cached.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { hostArch, pinnedNode, pinnedVersion, repository, verifyNode } from "../install.mjs";

/**
 * Absolute path of the pinned Node for `arch`, fetched where it is not here yet.
 *
 * Both the package (by the lockfile's integrity) and the binary in it (by our checksum) are verified.
 *
 * @param {import("../install.mjs").Arch} arch
 * @returns {string}
 */
export function fetchNode(arch) {
  if (arch === hostArch()) {
    verifyNode(pinnedNode(), arch);
    return pinnedNode();
  }
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "blackstart");
  const kept = join(cache, `node-linux-${arch}-${pinnedVersion()}`);
  const node = join(kept, "package/bin/node");
  if (!existsSync(node)) {
    mkdirSync(cache, { recursive: true });
    const fresh = mkdtempSync(join(cache, ".fetch-"));
    try {
      unpack(arch, fresh);
      renameSync(fresh, kept);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  verifyNode(node, arch);
  return node;
}

/**
 * @param {string} arch
 * @param {string} dir
 */
function unpack(arch, dir) {
  const name = `node-linux-${arch}`;
  const locked = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8"));
  const { version, integrity } = locked.packages[`node_modules/${name}`];
  const archive = execFileSync("npm", ["pack", `${name}@${version}`, "--silent"], {
    cwd: dir,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  }).trim();
  const digest = createHash("sha512")
    .update(readFileSync(join(dir, archive)))
    .digest("base64");
  if (`sha512-${digest}` !== integrity) {
    throw new Error(`${archive} is not the package that package-lock.json names`);
  }
  execFileSync("tar", ["-xzf", archive, "package/bin/node", "package/LICENSE"], { cwd: dir });
  rmSync(join(dir, archive));
}
