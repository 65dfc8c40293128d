// What files are called, how long they are, and what must not be in them.

/** @typedef {import("./layers.mjs").Files} Files */

/** Drawers: a name that says nothing about what is inside. */
const drawers =
  /(^|[-/])(utils?|helpers?|common|misc|lib|shared|managers?|handle\w*|process\w*)([-./]|$)/;
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.(ts|mjs|cjs)$/;
const longest = 250;

/** Test folders that mirror no folder of src/. */
const specialTests = [
  "root",
  "slow",
  "e2e",
  "vm",
  "scripts",
  "fixtures",
  "oracle",
  "kubelet",
  "scenarios",
  "end-to-end",
  "systemd",
];

/**
 * @param {Files} files
 * @returns {string[]}
 */
export function checkNames(files) {
  const folders = new Set(
    [...files.keys()].flatMap((file) => file.match(/^src\/[^/]+(?=\/)/) ?? []),
  );
  return [...files].flatMap(([file, text]) => {
    const found = [];
    if (/^(src|scripts|test)\/.*\.(ts|mjs|cjs)$/.test(file)) {
      if (drawers.test(file)) {
        found.push(`${file}: the name says nothing about what is inside`);
      }
      if (!kebab.test(file.split("/").at(-1) ?? "")) {
        found.push(`${file}: the name is not in kebab-case`);
      }
    }
    const lines = text.split("\n").length - 1;
    if (/^src\/.*\.ts$/.test(file) && lines > longest) {
      found.push(`${file}: ${lines} lines, at most ${longest} are one thought`);
    }
    const folder = file.match(/^test\/([^/]+)\//)?.[1];
    if (folder !== undefined && !folders.has(`src/${folder}`) && !specialTests.includes(folder)) {
      found.push(`${file}: mirrors no folder of src/`);
    }
    if (file !== "src/main.ts" && /^src\/.*\.ts$/.test(file) && /\bprocess\.exit/.test(text)) {
      found.push(`${file}: only src/main.ts sets the exit status`);
    }
    return found;
  });
}

/**
 * Finds what ties the repository to one machine.
 *
 * @param {Files} files
 * @param {readonly string[]} places  absolute directories of this machine that no file may name
 * @returns {string[]}
 */
export function checkPlaces(files, places) {
  const host = ["registry", "npmjs"].join(".");
  return [...files].flatMap(([file, text]) => [
    ...places.filter((place) => text.includes(place)).map((place) => `${file}: names ${place}`),
    ...(text.includes(host) ? [`${file}: names a package registry`] : []),
    ...(file === "package-lock.json" && text.includes('"resolved"')
      ? [`${file}: names where packages were fetched from ("resolved")`]
      : []),
  ]);
}
