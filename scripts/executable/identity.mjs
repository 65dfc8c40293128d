// What the executable says it is.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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

/** @param {readonly string[]} args */
function git(...args) {
  return execFileSync("git", args, {
    cwd: repository,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}
