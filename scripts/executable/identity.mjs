// What the executable says it is, and what it is made of.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../install.mjs";

/**
 * Version and commit of the checkout; the commit ends in -dirty when tracked files differ from it.
 *
 * @returns {{version: string, commit: string}}
 */
export function identity() {
  const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  try {
    return {
      version,
      commit: git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
    };
  } catch {
    return { version, commit: "unknown" };
  }
}

/**
 * A hash over everything that the executable is made of.
 *
 * @returns {string}
 */
export function hashInputs() {
  const hash = createHash("sha256").update(JSON.stringify(identity()));
  const roots = ["src", "scripts", "examples", "package.json", "package-lock.json"];
  for (const file of roots.flatMap(listFiles).sort()) {
    hash.update(`\0${file}\0`).update(readFileSync(join(repository, file)));
  }
  return hash.digest("hex");
}

/**
 * @param {string} name
 * @returns {string[]}
 */
function listFiles(name) {
  const path = join(repository, name);
  if (!existsSync(path)) {
    return [];
  }
  return statSync(path).isDirectory()
    ? readdirSync(path).flatMap((entry) => listFiles(join(name, entry)))
    : [name];
}

/** @param {readonly string[]} args */
function git(...args) {
  return execFileSync("git", args, {
    cwd: repository,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}
