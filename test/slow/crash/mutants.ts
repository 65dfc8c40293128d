import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { repository } from "../../../scripts/install.mjs";
import type { Program } from "./run.ts";

/** A mistake, made in the source on purpose. */
export interface Mutant {
  readonly name: string;
  /** The test that must see it. */
  readonly seenBy: "kill" | "power" | "power after a repeat" | "errno" | "read";
  /** Name of the scenario in which it shows. */
  readonly scenario: string;
  readonly file: string;
  /** What is replaced, which stands there once, and by what. */
  readonly edits: readonly (readonly [from: string, to: string])[];
}

const fsync = "    fsyncSync(fd); // (3)\n    open = false;";
const link =
  "const linked = site.place && linkManifest(site.place, manifest.linkName, fileName, link); // (2)";

export const mutants: readonly Mutant[] = [
  {
    name: "no fsync of files",
    seenBy: "power",
    scenario: "a capture that thins out",
    file: "src/host/atomic-file.ts",
    edits: [[fsync, "    open = false;"]],
  },
  {
    name: "no fsync of directories",
    seenBy: "power",
    scenario: "a capture that thins out",
    file: "src/host/atomic-file.ts",
    edits: [["export function syncDirectory(dir: string): void {", "$&\n  if (dir) return;"]],
  },
  {
    name: "no fsync of directories, for the boot counter",
    seenBy: "power",
    scenario: "a restore after a power cut",
    file: "src/host/atomic-file.ts",
    edits: [
      [
        "  renameSync(join(dir, from), join(dir, to));\n  syncDirectory(dir);",
        "  renameSync(join(dir, from), join(dir, to));",
      ],
    ],
  },
  {
    name: "a new directory that is not synced",
    seenBy: "power",
    scenario: "key init on a bare node",
    file: "src/host/directory.ts",
    edits: [["    syncDirectory(dirname(path));", "    dirname(path);"]],
  },
  {
    name: "a key of a killed run that is not synced",
    seenBy: "power after a repeat",
    scenario: "key init",
    file: "src/cli/key.ts",
    edits: [
      [
        "    removeUnfinished(dir, temporaryPrefix);\n    syncDirectory(dir);",
        "    removeUnfinished(dir, temporaryPrefix);",
      ],
    ],
  },
  {
    name: "files written in place",
    seenBy: "kill",
    scenario: "a capture that thins out",
    file: "src/host/atomic-file.ts",
    edits: [
      [
        "  const temporary = writeTemporary(dir, bytes, mode); // (1)…(4)\n  const file",
        '  writeNew(join(dir, name), bytes, mode);\n  syncDirectory(dir);\n  if (dir) return "published";\n$&',
      ],
    ],
  },
  {
    name: "retention before the commit",
    seenBy: "kill",
    scenario: "a capture that thins out",
    file: "src/store/commit.ts",
    edits: [
      ["    const freed = publishOrFree(", "    retain(dir, keep, keys, content.node);\n$&"],
      ["        ...retain(dir, keep, keys, content.node).warnings,\n", ""],
    ],
  },
  {
    name: "the high-water mark before the commit",
    seenBy: "kill",
    scenario: "a capture that thins out",
    file: "src/store/commit.ts",
    edits: [
      ["    const freed = publishOrFree(", "    writeMark(dir, generation, storeId, keys);\n$&"],
    ],
  },
  {
    name: "the symlink before the manifest",
    seenBy: "kill",
    scenario: "the first restore",
    file: "src/project/pod.ts",
    edits: [
      [
        "  let written: boolean;",
        "  if (site.place) linkManifest(site.place, manifest.linkName, fileName, link);\n$&",
      ],
      [link, "const linked = site.place && true;"],
    ],
  },
  {
    name: "the manifest before the volumes",
    seenBy: "kill",
    scenario: "the first restore",
    file: "src/project/pod.ts",
    edits: [
      [
        "    const dirName = podDirName(site.runDir, pod);\n    if (dirName === undefined) {\n      return { kind",
        "    writeManifest(site.manifests, fileName, pod.manifest.text, site.owner);\n    if (site.place) linkManifest(site.place, pod.manifest.linkName, fileName, link);\n$&",
      ],
      [link, "const linked = site.place && true;"],
    ],
  },
  {
    name: "..data before the directory that it leads to",
    seenBy: "kill",
    scenario: "a restore over another",
    file: "src/project/volume.ts",
    edits: [["rank(a, dated) - rank(b, dated)", "rank(b, dated) - rank(a, dated)"]],
  },
  {
    name: "volumes removed before their pod",
    seenBy: "kill",
    scenario: "a restore over another",
    file: "src/project/prune.ts",
    edits: [
      ["      ...pruneLinks(site, links), // (1)\n", ""],
      ["      ...pruneVolumes(site, dirs), // (3)\n", "$&      ...pruneLinks(site, links),\n"],
    ],
  },
  {
    name: "a boot that is not counted",
    seenBy: "kill",
    scenario: "the first restore",
    file: "src/cli/boot-attempt.ts",
    edits: [["takeAttempt(session.storeDir, generation)", "{ left: 1, done: 1, warnings: [] }"]],
  },
  {
    name: "a pull record unlinked before its copy",
    seenBy: "kill",
    scenario: "a restore that sets records aside",
    file: "src/project/set-aside.ts",
    edits: [
      ["    if (!isMade) {", "    removeFile(from);\n$&"],
      ["      refuseChanged(from, own.stats);\n", ""],
    ],
  },
  {
    name: "a pull record put back over the kubelet's own",
    seenBy: "kill",
    scenario: "a retire that puts records back",
    file: "src/project/set-aside.ts",
    edits: [
      ['const result = isThere ? "exists" : publishFile(', "const result: unknown = replaceFile("],
    ],
  },
  {
    name: "a pull record whose copy has no durable name",
    seenBy: "power",
    scenario: "a restore that sets records aside",
    file: "src/host/atomic-file.ts",
    edits: [
      ["  syncDirectory(dir);\n}\n\n/** Makes an empty file", "}\n\n/** Makes an empty file"],
    ],
  },
  {
    name: "a pull record of a killed run that is not synced",
    seenBy: "power after a repeat",
    scenario: "a retire that puts records back",
    file: "src/project/set-aside.ts",
    edits: [["      syncDirectory(to);\n", ""]],
  },
  {
    name: "an error of fsync that is passed over",
    seenBy: "errno",
    scenario: "a capture that thins out",
    file: "src/host/atomic-file.ts",
    edits: [[fsync, "    try { fsyncSync(fd); } catch {}\n    open = false;"]],
  },
  {
    name: "an unreadable generation that counts as damaged",
    seenBy: "read",
    scenario: "a capture that repairs",
    file: "src/store/retain.ts",
    edits: [['  "E_MAC",\n', '$&  "E_IO",\n']],
  },
];

/** The program as it is, or with a mistake in it, from the source, into a directory that nothing has yet. */
export async function buildMutant(dir: string, mutant?: Mutant): Promise<Program> {
  let isMade = mutant === undefined;
  await build({
    absWorkingDir: repository,
    entryPoints: { main: "src/main.ts" },
    outdir: dir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    logLevel: "warning",
    // The yaml package is CommonJS.
    banner: {
      js: 'const require = process.getBuiltinModule("node:module").createRequire(import.meta.url);',
    },
    plugins: [
      {
        name: "mutant",
        setup(builder) {
          builder.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
            const text = readFileSync(path, "utf8");
            const isIt = mutant !== undefined && path === join(repository, mutant.file);
            isMade ||= isIt;
            return { contents: isIt ? mutate(text, mutant) : text, loader: "ts" };
          });
        },
      },
    ],
  });
  assert.ok(isMade, `${mutant?.file} is not in the program`);
  return [process.execPath, join(dir, "main.mjs")];
}

function mutate(text: string, { name, edits }: Mutant): string {
  return edits.reduce((now, [from, to]) => {
    assert.equal(now.split(from).length, 2, `${name}: ${from} does not stand there once`);
    return now.replace(from, () => to.replace("$&", () => from));
  }, text);
}
