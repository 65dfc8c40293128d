// Source -> scripts: what the loader evaluates, as text, without their code caches.
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build, transform } from "esbuild";
import { repository } from "../install.mjs";

/**
 * @typedef {object} Bundle
 * @property {ReadonlyMap<string, string>} scripts  name -> ASCII source; `boot` first, then by name
 * @property {readonly string[]} bootFiles  the source files that every start evaluates
 */

const here = import.meta.dirname;

/** What a boot runs: its code is in the script that every process reads. */
const bootEntries = ["src/main.ts", "src/cli/restore.ts"];

/**
 * Bundles src/main.ts.
 *
 * esbuild splits at each dynamic import, so a module exists once whichever way it is reached. Its
 * output is then turned into CommonJS functions, because a single executable cannot import modules.
 * No absolute path gets into the text: the same source gives the same bytes wherever it lies.
 *
 * @param {{version: string, commit: string}} identity
 * @returns {Promise<Bundle>}
 */
export async function bundle(identity) {
  const result = await build({
    absWorkingDir: repository,
    entryPoints: { main: "src/main.ts" },
    outdir: "out",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    // Names of chunks come from paths: wherever node_modules really lies, it is node_modules.
    preserveSymlinks: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    target: "node24",
    charset: "ascii",
    legalComments: "none",
    // Identifiers stay: the stack of a bug must be worth reporting. With the code cache they cost nothing.
    minifySyntax: true,
    minifyWhitespace: true,
    alias: {
      "string-width": join(here, "string-width.mjs"),
      "strip-ansi": join(here, "strip-ansi.mjs"),
    },
    define: {
      "import.meta.main": "false",
      // yargs wants a file to look for translations beside; there is none.
      "import.meta.url": JSON.stringify("file:///blackstart"),
      "import.meta.dirname": JSON.stringify("/"),
      BLACKSTART_VERSION: JSON.stringify(identity.version),
      BLACKSTART_COMMIT: JSON.stringify(identity.commit),
    },
    logLevel: "warning",
  });

  const outputs = result.metafile.outputs;
  /** @type {Set<string>} */
  const bootChunks = new Set();
  for (const [file, { entryPoint }] of Object.entries(outputs)) {
    if (entryPoint !== undefined && bootEntries.includes(entryPoint)) {
      closure(outputs, file, bootChunks);
    }
  }
  const functions = await Promise.all(
    result.outputFiles.map(async ({ path, text }) => {
      const file = relative(join(repository, "out"), path);
      const isBoot = bootChunks.has(`out/${file}`);
      return /** @type {const} */ ([file, isBoot ? bootModule(text) : await commonJs(file, text)]);
    }),
  );
  functions.sort(([left], [right]) => (left < right ? -1 : 1));
  const inBoot = (/** @type {string} */ file) => bootChunks.has(`out/${file}`);
  return {
    scripts: new Map([
      ["boot", script(functions.filter(([file]) => inBoot(file)))],
      ...functions
        .filter(([file]) => !inBoot(file))
        .map((entry) => /** @type {const} */ ([entry[0].slice(0, -".js".length), script([entry])])),
    ]),
    bootFiles: [...bootChunks].flatMap((chunk) => Object.keys(outputs[chunk]?.inputs ?? {})).sort(),
  };
}

/**
 * The loader's text, as it goes into the executable.
 *
 * @returns {string}
 */
export function loaderSource() {
  return readFileSync(join(here, "loader.cjs"), "utf8");
}

/**
 * @param {import("esbuild").Metafile["outputs"]} outputs
 * @param {string} entry
 * @param {Set<string>} found  gets the output files that importing `entry` evaluates
 */
function closure(outputs, entry, found) {
  if (!found.has(entry)) {
    found.add(entry);
    for (const { kind, path, external } of outputs[entry]?.imports ?? []) {
      if (kind === "import-statement" && external !== true) {
        closure(outputs, path, found);
      }
    }
  }
}

/**
 * One module of the boot script, as a CommonJS function. Its imports become local names, not properties of a
 * namespace: a call across modules then costs what any call costs, and no module needs helper functions.
 * That takes a graph without cycles and no exported variable that changes; the layer check sees to the first.
 *
 * @param {string} text  as esbuild writes a chunk: imports between its modules, one export at the end
 */
function bootModule(text) {
  const imports =
    /(?<=^|[;}])import(?:(\*as [\w$]+|[\w$]+|\{[^{}]*\})(?:,(\{[^{}]*\}))?from)?"(node:[a-z_/]+|\.\/[\w-]+\.js)";/g;
  const exported = /export\{([^{}]*)\};?\s*$/.exec(text);
  const body = (exported === null ? text : text.slice(0, exported.index)).replaceAll(
    imports,
    (_all, first, second, name) => {
      const bindings = [first, second].filter((clause) => clause !== undefined).map(binding);
      const required = `require("${name}")`;
      return bindings.length === 0
        ? `${required};`
        : `const ${bindings.map((clause) => `${clause}=${required}`).join(",")};`;
    },
  );
  if (/(^|[;}])(import|export)[\s{*"]/.test(body)) {
    throw new Error("a boot module has an import or export that is not understood");
  }
  const members = (exported?.[1] ?? "")
    .split(",")
    .filter(Boolean)
    .map((member) => {
      const [local = "", name = local] = member.split(" as ");
      return local === name ? local : `${name}:${local}`;
    });
  const lazy = body.replaceAll(/\bimport\(("[^"]+")\)/g, "Promise.resolve().then(()=>require($1))");
  return `${lazy}\nmodule.exports={${members.join(",")}};`;
}

/** @param {string} clause */
function binding(clause) {
  return clause.startsWith("*as ")
    ? clause.slice("*as ".length)
    : clause.replaceAll(/([\w$]+) as ([\w$]+)/g, "$1:$2");
}

/**
 * A dynamically imported CommonJS package (yaml) is a chunk with a default export alone, which would hide its
 * names from `(await import("yaml")).parse`: there it becomes the module itself, as Node has it.
 *
 * @param {string} file
 * @param {string} text
 */
async function commonJs(file, text) {
  const whole = text.replace(/\bexport default (require_\w+\(\));/, "module.exports=$1;");
  const { code } = await transform(whole, {
    sourcefile: file,
    format: "cjs",
    platform: "node",
    target: "node24",
    charset: "ascii",
    minifySyntax: true,
    minifyWhitespace: true,
    supported: { "dynamic-import": false },
  });
  return code;
}

/** @param {readonly (readonly [string, string])[]} functions */
function script(functions) {
  const members = functions.map(
    ([file, code]) =>
      `${JSON.stringify(file)}:function(require,module,exports){"use strict";${code}}`,
  );
  return `({${members.join(",\n")}})`;
}
