import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { under } from "../config.ts";
import { isSystemError } from "../errors.ts";
import { removeFile, replaceFile, syncDirectory } from "../host/atomic-file.ts";
import { describeErrno } from "../host/system-error.ts";
import type { WantedPins } from "../model/pins.ts";

/*
 * CRI-O is told of pinned images by its configuration. A list takes the place of the one that was read before, so that
 * our drop-in repeats what others have pinned. Source: cri-o v1.34 docs/crio.conf.5.md, `pinned_images`.
 */

const mainFile = "/etc/crio/crio.conf";
const dropIns = "/etc/crio/crio.conf.d";
/** Drop-ins are read in the order of their names. */
export const ourDropIn = "99-blackstart-pinned.conf";

/** A file of CRI-O's configuration. */
export interface CrioFile {
  readonly name: string;
  readonly text: string;
}

/** What our drop-in has to be; undefined for none. `problem`: it would do harm, or nothing. */
export type DropIn =
  | { readonly kind: "text"; readonly text: string | undefined }
  | { readonly kind: "problem"; readonly problem: string };

/** What came of it. `written`: CRI-O has to read its configuration anew. */
export type CrioPins =
  | { readonly kind: "unchanged" | "written" }
  | { readonly kind: "failed"; readonly problem: string };

/**
 * Pure. Our drop-in for these images.
 *
 * @param files  the others, in the order in which CRI-O reads them
 */
export function planDropIn(files: readonly CrioFile[], { names }: WantedPins): DropIn {
  if (names.length === 0) {
    return { kind: "text", text: undefined };
  }
  const lists = files.flatMap(({ name, text }) => {
    const list = pinnedImagesIn(text);
    return list === undefined ? [] : [{ name, list }];
  });
  const last = lists.at(-1);
  if (last?.list === "unknown") {
    return { kind: "problem", problem: `its pinned_images in ${last.name} cannot be understood` };
  }
  if (last?.name.startsWith(`${dropIns}/`) && last.name > `${dropIns}/${ourDropIn}`) {
    return { kind: "problem", problem: `${last.name} is read last and sets pinned_images` };
  }
  const all = [...new Set([...(last?.list ?? []), ...names])].sort();
  const text = [
    "# Images that a cold boot needs, and what was pinned before. Made by blackstart, and made anew.",
    "[crio.image]",
    "pinned_images = [",
    ...all.map((name) => `  ${JSON.stringify(name)},`),
    "]",
    "",
  ].join("\n");
  return { kind: "text", text };
}

/** The list that a file sets; undefined where it sets none, "unknown" where it is no plain list of plain texts. */
function pinnedImagesIn(text: string): readonly string[] | "unknown" | undefined {
  const plain = text.replaceAll(/^\s*#.*$/gm, "");
  if (!/^\s*(crio\.image\.)?pinned_images\s*=/m.test(plain)) {
    return undefined;
  }
  const list =
    /^\s*(?:crio\.image\.)?pinned_images\s*=\s*\[((?:\s*"[^"\\\n]*"\s*,?|\s*'[^'\n]*'\s*,?)*)\s*\]/m.exec(
      plain,
    )?.[1];
  return list === undefined
    ? "unknown"
    : [...list.matchAll(/["']([^"']*)["']/g)].map(([, name = ""]) => name);
}

/**
 * Writes our drop-in, or takes it away.
 *
 * Durable when it returns. CRI-O reads it at its next start or reload.
 */
export function writeCrioPins(root: string, wanted: WantedPins): CrioPins {
  const dir = under(root, dropIns);
  const file = join(dir, ourDropIn);
  try {
    if (!existsSync(dir)) {
      return wanted.names.length === 0
        ? { kind: "unchanged" }
        : { kind: "failed", problem: `there is no ${dropIns}` };
    }
    const plan = planDropIn(otherFiles(root, dir), wanted);
    if (plan.kind === "problem") {
      return { kind: "failed", problem: plan.problem };
    }
    const before = existsSync(file) ? readFileSync(file, "utf8") : undefined;
    if (before === plan.text) {
      return { kind: "unchanged" };
    }
    if (plan.text === undefined) {
      removeFile(file);
      syncDirectory(dir);
    } else {
      replaceFile(dir, ourDropIn, Buffer.from(plan.text), 0o644);
    }
    return { kind: "written" };
  } catch (error) {
    if (!isSystemError(error)) {
      throw error;
    }
    return { kind: "failed", problem: `${file}: ${describeErrno(error)}` };
  }
}

function otherFiles(root: string, dir: string): readonly CrioFile[] {
  const names = readdirSync(dir)
    .filter((name) => name !== ourDropIn && !name.startsWith("."))
    .sort();
  const files = [mainFile, ...names.map((name) => `${dropIns}/${name}`)];
  return files
    .filter((name) => existsSync(under(root, name)))
    .map((name) => ({ name, text: readFileSync(under(root, name), "utf8") }));
}
