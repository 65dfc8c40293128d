// npm run check: types, format and lint, and the rules of this repository that no tool knows.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { checkLayers } from "./checks/layers.mjs";
import { checkNames, checkPlaces } from "./checks/names.mjs";
import { checkTests } from "./checks/tests.mjs";
import { cleanEnvironment, ensureInstalled, repository } from "./install.mjs";

/**
 * Checks our own rules on a set of files.
 *
 * @param {import("./checks/layers.mjs").Files} files
 * @param {readonly string[]} places  absolute directories of this machine that no file may name
 * @returns {string[]} one line for each breach
 */
export function checkFiles(files, places) {
  return [
    ...checkLayers(files),
    ...checkNames(files),
    ...checkTests(files),
    ...checkPlaces(files, places),
  ];
}

/**
 * Checks the checkout, all of it even when a check fails, and prints what is wrong.
 *
 * @returns {number} how many of the checks failed
 */
export function check() {
  // A place right under / may be anybody's ("/root", "/src").
  const places = [repository, homedir()].filter((place) => place.split("/").length > 2);
  const rules = checkFiles(readFiles(), places);
  for (const line of rules) {
    console.error(line);
  }
  return (
    Number(rules.length > 0) +
    Number(!runs("node_modules/.bin/tsc", "--noEmit")) +
    Number(!runs("node_modules/.bin/biome", "ci", "--colors=off", "."))
  );
}

/**
 * @param {string} tool
 * @param {readonly string[]} args
 */
function runs(tool, ...args) {
  const options = { cwd: repository, env: cleanEnvironment() };
  return spawnSync(join(repository, tool), args, { ...options, stdio: "inherit" }).status === 0;
}

/** @returns {Map<string, string>} every text file that is or may be committed */
function readFiles() {
  const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
    cwd: repository,
    encoding: "utf8",
  });
  const names = listed.split("\0").filter((name) => {
    const file = join(repository, name);
    return name !== "" && existsSync(file) && statSync(file).isFile();
  });
  return new Map(names.map((name) => [name, readFileSync(join(repository, name), "latin1")]));
}

if (process.argv[1] === import.meta.filename) {
  ensureInstalled();
  process.exitCode = check() === 0 ? 0 : 1;
}
