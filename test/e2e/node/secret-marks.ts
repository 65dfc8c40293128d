import { spawnSync } from "node:child_process";

/** Where a secret was put → what tells it from everything else: at least 24 characters of it, all printable. */
export type Marks = ReadonlyMap<string, string>;

/** What of a secret is somewhere. */
export interface Found {
  /** Relative to the folder that was searched. */
  readonly file: string;
  /** In the file, bytes. */
  readonly offset: number;
  /** The secret's own, as in `Marks`. */
  readonly place: string;
}

/** Every form in which programs show a text, and the place whose text it is: as it is, in base64 wherever it begins, in hexadecimal, in decimals. */
export function formsOf(marks: Marks): ReadonlyMap<string, string> {
  return new Map(
    [...marks].flatMap(([place, text]) => {
      const bytes = Buffer.from(text, "latin1");
      const base64 = [0, 1, 2].map((shift) => inBase64(bytes, shift));
      const urls = base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"));
      const forms = [text, ...base64, ...urls, bytes.toString("hex"), bytes.join(" ")];
      return forms.map((form): [string, string] => [form, place]);
    }),
  );
}

/** As much of the base64 of the bytes as is the same whatever stands before and behind them. */
function inBase64(bytes: Buffer, shift: number): string {
  const all = Buffer.concat([Buffer.alloc(shift), bytes]);
  const full = Math.floor((all.length * 8) / 6);
  return all.toString("base64").slice(Math.ceil((shift * 8) / 6), full);
}

/** The places whose secrets are in a text, sorted. */
export function placesIn(text: string, forms: ReadonlyMap<string, string>): readonly string[] {
  const found = [...forms].filter(([form]) => text.includes(form)).map(([, place]) => place);
  return [...new Set(found)].sort();
}

/**
 * Searches every regular file below a folder; nothing of the secrets comes onto a disk for this.
 *
 * @param dir  absolute; symbolic links below are not followed
 * @param without  names of folders that are left out
 */
export function searchFiles(
  dir: string,
  forms: ReadonlyMap<string, string>,
  without: readonly string[] = [],
): readonly Found[] {
  // -Z: a NUL ends the file's name. -s: what goes away meanwhile is no error.
  const words = ["-r", "-s", "-a", "-o", "-b", "-H", "-Z", "-F", "-D", "skip", "-f", "-"];
  const { status, stdout, stderr } = spawnSync(
    "grep",
    [...words, ...without.map((name) => `--exclude-dir=${name}`), `${dir}/`],
    {
      input: `${[...forms.keys()].join("\n")}\n`,
      encoding: "latin1",
      maxBuffer: 1 << 30,
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
    },
  );
  if (status === null || stderr !== "") {
    throw new Error(`grep in ${dir}: ${stderr}`);
  }
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [file = "", rest = ""] = line.split("\0");
      const colon = rest.indexOf(":");
      return {
        file: file.slice(dir.length + 1),
        offset: Number(rest.slice(0, colon)),
        place: forms.get(rest.slice(colon + 1)) ?? rest,
      };
    });
}
