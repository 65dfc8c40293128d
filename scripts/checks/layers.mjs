// Imports go down only, stages never import one another, and what decides touches nothing.
import { posix } from "node:path";

/** @typedef {ReadonlyMap<string, string>} Files  path relative to the repository -> text */

/** Folders that are stages of the data's way. */
const stages = ["capture", "store", "plan", "project", "archive", "handover"];

/** Modules through which code touches the world: closed to layers 0 and 1. */
const doors =
  /^node:(fs|child_process|https?|http2|net|tls|dns|dgram|os|timers|worker_threads|cluster)(\/|$)/;
const timers = /(?<![.\w])(setTimeout|setInterval|setImmediate|fetch)\(/;

/**
 * The layer of a source file, 0 lowest.
 *
 * @param {string} file
 * @returns {number | undefined} undefined for a file that has no place
 */
export function layerOf(file) {
  if (file === "src/main.ts") {
    return 5;
  }
  if (/^src\/cli\//.test(file)) {
    return 4;
  }
  if (
    /^src\/(project\/|(capture\/(capture|resources|follower|visit|once|minting)|handover\/handover)\.ts$)/.test(
      file,
    ) ||
    /^src\/store\/(store|commit|marks|retain|establish|freshness)\.ts$/.test(file) ||
    /^src\/archive\/(layout|blob|collect|contents|fetch|import|present)\.ts$/.test(file)
  ) {
    return 3;
  }
  if (/^src\/(host|kube|runtime)\//.test(file)) {
    return 2;
  }
  if (/^src\/(capture|store|plan|archive|handover)\//.test(file)) {
    return 1;
  }
  return /^src\/(model\/|(errors|config|config-file|config-tree)\.ts$)/.test(file) ? 0 : undefined;
}

/**
 * What a file imports, statically or dynamically, types too.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function importsOf(text) {
  const code = withoutComments(text);
  const statics = /^\s*(?:import|export)\b[^"';]*?(?:from\s*)?"([^"]+)";/gm;
  const dynamics = /\bimport\(\s*"([^"]+)"\s*\)/g;
  return [...code.matchAll(statics), ...code.matchAll(dynamics)].map((match) => match[1] ?? "");
}

/**
 * @param {Files} files
 * @returns {string[]} one line for each breach
 */
export function checkLayers(files) {
  return [...files].flatMap(([file, text]) => {
    if (!/^src\/.*\.ts$/.test(file)) {
      return [];
    }
    const layer = layerOf(file);
    if (layer === undefined) {
      return [`${file}: has no layer; src/ holds main, cli, the stages, host, kube and model`];
    }
    const breaches = importsOf(text).flatMap((name) => breach(file, layer, name));
    const code = withoutComments(text);
    if (layer <= 1 && timers.test(code)) {
      breaches.push(`${file}: a pure file sets a timer or fetches`);
    }
    if (/\bimport\(\s*[^"\s]/.test(code)) {
      breaches.push(`${file}: import() of something that is no literal cannot be bundled`);
    }
    return breaches;
  });
}

/**
 * @param {string} file
 * @param {number} layer
 * @param {string} name
 * @returns {string[]}
 */
function breach(file, layer, name) {
  if (!name.startsWith(".")) {
    return layer <= 1 && doors.test(name) ? [`${file}: a pure file imports ${name}`] : [];
  }
  const target = posix.join(posix.dirname(file), name);
  const below = layerOf(target);
  const [from, to] = [folderOf(file), folderOf(target)];
  if (below === undefined) {
    return [`${file}: imports ${target}, which is not in src/`];
  }
  if (below > layer) {
    return [`${file}: layer ${layer} imports ${target} of layer ${below}`];
  }
  if (from !== to && stages.includes(from) && stages.includes(to)) {
    return [`${file}: stage ${from} imports stage ${to}`];
  }
  return [];
}

/** @param {string} text */
function withoutComments(text) {
  return text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, "");
}

/** @param {string} file */
function folderOf(file) {
  return file.split("/")[1] ?? "";
}
