import { readdirSync } from "node:fs";
import { join } from "node:path";
import { paths, under } from "../config.ts";
import { Failure } from "../errors.ts";
import { StoreKey } from "../model/store-key.ts";
import { accessConcerns, readGuarded, statOf } from "./guarded-file.ts";
import { failureOf, hasErrno } from "./system-error.ts";
import { decryptCredential } from "./systemd-creds.ts";

/** How a slot protects the key. */
export type SlotKind = "plain" | "host" | "tpm2";

/** One wrapped or plain copy of a key, `<kid>.plain`, `<kid>.host.cred` or `<kid>.tpm2.cred`. */
export interface KeySlot {
  readonly kind: SlotKind;
  /** As the file name says; the key itself decides. */
  readonly kid: string;
  /** Absolute. */
  readonly file: string;
}

const suffixes: Readonly<Record<SlotKind, string>> = {
  plain: ".plain",
  host: ".host.cred",
  tpm2: ".tpm2.cred",
};

/** Pure. File name of a slot. */
export function slotName(kind: SlotKind, kid: string): string {
  return `${kid}${suffixes[kind]}`;
}

/**
 * Lists the slots under `root`, in the order in which they are tried: TPM, host, plain; newest file first.
 *
 * @throws {Failure} E_PERMS, E_IO only when the directory is there and cannot be read
 */
export function listSlots(root: string): readonly KeySlot[] {
  const dir = under(root, paths.keys);
  const slots = readSlotNames(dir).flatMap((name) => {
    const [, kid, suffix] = /^([\w-]{1,64})(\.plain|\.host\.cred|\.tpm2\.cred)$/.exec(name) ?? [];
    const kind = kinds.find((one) => suffixes[one] === suffix);
    return kid === undefined || kind === undefined ? [] : [{ kind, kid, file: join(dir, name) }];
  });
  const ages = new Map(slots.map(({ file }) => [file, statOf(file)?.mtimeMs ?? 0]));
  const age = ({ file }: KeySlot) => ages.get(file) ?? 0;
  const rank = ({ kind }: KeySlot) => kinds.indexOf(kind);
  return slots.sort((a, b) => rank(a) - rank(b) || age(b) - age(a));
}

const kinds: readonly SlotKind[] = ["tpm2", "host", "plain"];

/**
 * Reads the key in one slot. "plain" reads a file; the others run systemd-creds.
 *
 * @throws {Failure} E_NO_KEY only when the slot is gone or cannot be unwrapped, with the reason; E_KEY_PERMS only when
 *   others can read a plain slot; E_KEY_LENGTH, E_KEY_WEAK, E_NOT_REGULAR, E_IO
 */
export function openSlot({ kind, file }: KeySlot, root: string): StoreKey {
  if (kind === "plain") {
    return readPlainKey(file);
  }
  const result = decryptCredential(file, root);
  if (result.kind === "failed") {
    throw new Failure("E_NO_KEY", {
      what: `the ${kind} slot cannot be unwrapped`,
      where: file,
      found: result.reason,
      next: "Use another slot",
    });
  }
  try {
    return StoreKey.parse(result.bytes, file);
  } finally {
    result.bytes.fill(0);
  }
}

/**
 * Reads a raw key from a file that only its owner has access to.
 *
 * @throws {Failure} E_NO_KEY only when there is no such file; E_KEY_PERMS, E_KEY_LENGTH, E_KEY_WEAK, E_NOT_REGULAR, E_IO
 */
export function readPlainKey(file: string): StoreKey {
  const read = readGuarded(file, 4096, "the key file");
  if (read === undefined) {
    throw new Failure("E_NO_KEY", { what: "there is no key", where: file, found: "file missing" });
  }
  const [concern] = read.concerns;
  if (concern !== undefined) {
    throw new Failure("E_KEY_PERMS", {
      what: "others may have read the key",
      where: file,
      found: concern.text.found ?? "",
      next: "Make a new key, or set owner root and mode 0600 if nobody has",
    });
  }
  try {
    return StoreKey.parse(read.bytes, file);
  } finally {
    read.bytes.fill(0);
  }
}

/** Concerns about the directory of the slots itself: who can write there can plant a key. */
export function slotDirConcerns(root: string): readonly Failure[] {
  const dir = under(root, paths.keys);
  const stats = statOf(dir);
  return stats === undefined ? [] : accessConcerns(stats, 0o022, "0700", dir);
}

function readSlotNames(dir: string): readonly string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return [];
    }
    throw failureOf(error, { what: "the key slots cannot be read", where: dir });
  }
}
