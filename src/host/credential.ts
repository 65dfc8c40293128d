import { join } from "node:path";
import { paths, under } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Warning } from "../model/plan.ts";
import { type KeyRing, noKeyText, StoreKey } from "../model/store-key.ts";
import { readGuarded } from "./guarded-file.ts";
import { type KeySlot, listSlots, openSlot, readPlainKey } from "./key-slots.ts";
import { expectedFailure } from "./system-error.ts";

/** Where a key may come from. */
export interface KeySources {
  readonly root: string;
  /** `$CREDENTIALS_DIRECTORY`, which systemd gives a unit; undefined when run by hand. */
  readonly credentialsDir: string | undefined;
}

/** The node's keys, and what was passed over to get them. */
export interface KeyReading {
  readonly ring: KeyRing;
  /** Where the primary key came from: "credential", "published", or a slot's kind. */
  readonly source: string;
  readonly warnings: readonly Warning[];
}

/** Name of the credential in our units. */
export const storeCredential = "store-key";

/** Where blackstart-key.service says why it published no key, one slot a line. */
export function reasonsFile(root: string): string {
  return under(root, `${paths.key}.reasons`);
}

/**
 * Reads the node's key from the first source that has one: the unit's credential, the published key, a plain
 * slot, and, run by hand, the slots that systemd-creds unwraps. Other keys are found by kid when asked for.
 *
 * @throws {Failure} E_NO_KEY only when no source has a key, with each one's reason; E_KEY_LENGTH, E_KEY_WEAK,
 *   E_KEY_PERMS when that is why
 */
export function readKey({ root, credentialsDir }: KeySources): KeyReading {
  const failures: Failure[] = [];
  for (const [source, open] of sourcesOf(root, credentialsDir)) {
    try {
      const key = open();
      const { ring, warnings } = makeRing(key, root, credentialsDir === undefined);
      const passed = failures.filter(({ code }) => code !== "E_NO_KEY").map(describePassed);
      return { ring, source, warnings: [...passed, ...warnings] };
    } catch (error) {
      failures.push(expectedFailure(error, { what: "the key cannot be read", where: source }));
    }
  }
  throw noKey(failures, root);
}

type Source = readonly [name: string, open: () => StoreKey];

function sourcesOf(root: string, credentialsDir: string | undefined): readonly Source[] {
  const byHand = credentialsDir === undefined;
  const slots = listSlots(root);
  const ordered = [
    ...slots.filter(({ kind }) => kind === "plain"),
    ...(byHand ? slots.filter(({ kind }) => kind !== "plain") : []),
  ];
  return [
    ...(byHand ? [] : [["credential", () => readCredential(credentialsDir)] as const]),
    ["published", () => readPlainKey(under(root, paths.key))],
    ...ordered.map((slot): Source => [slot.kind, () => openSlot(slot, root)]),
  ];
}

/** systemd made the file for this unit alone; its mode (0400, or 0440 with an ACL) is not ours to judge. */
function readCredential(dir: string): StoreKey {
  const file = join(dir, storeCredential);
  const read = readGuarded(file, 4096, "the credential");
  if (read === undefined || isNoKey(read.bytes)) {
    throw new Failure("E_NO_KEY", {
      what: "the unit was given no key",
      where: file,
      found: read === undefined ? "file missing" : "blackstart-key.service published none",
    });
  }
  try {
    return StoreKey.parse(read.bytes, file);
  } finally {
    read.bytes.fill(0);
  }
}

function isNoKey(bytes: Buffer): boolean {
  return bytes.length < 16 && bytes.toString("latin1").trim() === noKeyText;
}

function makeRing(primary: StoreKey, root: string, byHand: boolean) {
  const keys = new Map([[primary.kid, primary]]);
  const find = (kid: string): StoreKey | undefined => {
    const known = keys.get(kid);
    if (known !== undefined) {
      return known;
    }
    const candidates = listSlots(root).filter(
      (slot) => slot.kid === kid && (byHand || slot.kind === "plain"),
    );
    for (const slot of [...candidates].reverse()) {
      const key = tryOpen(slot, root);
      if (key !== undefined) {
        keys.set(key.kid, key);
      }
    }
    return keys.get(kid);
  };
  const ring: KeyRing = { primary, find, kids: () => [...keys.keys()] };
  return { ring, warnings: misnamed(primary, root) };
}

function tryOpen(slot: KeySlot, root: string): StoreKey | undefined {
  try {
    return openSlot(slot, root);
  } catch (error) {
    expectedFailure(error, { what: "the key slot cannot be read", where: slot.file });
    return undefined;
  }
}

/** A plain slot is cheap to check: one named after another key would not be found when that key is looked for. */
function misnamed(primary: StoreKey, root: string): readonly Warning[] {
  const plain = listSlots(root).filter(({ kind }) => kind === "plain");
  return plain.flatMap((slot) => {
    const kid = slot.kid === primary.kid ? primary.kid : tryOpen(slot, root)?.kid;
    const message = `${slot.file} holds key ${kid}; rename it to ${kid}.plain`;
    return kid === undefined || kid === slot.kid ? [] : [{ code: "W_KEY" as const, message }];
  });
}

function describePassed({ code, message }: Failure): Warning {
  return { code: "W_KEY", message: `${code}: ${message}` };
}

function noKey(failures: readonly Failure[], root: string): Failure {
  const reasons = failures.map(({ text }) => `${text.where ?? ""}: ${text.found ?? text.what}`);
  const told = readReasons(root);
  const found = [
    ...reasons,
    ...(listSlots(root).length === 0 ? [`${under(root, paths.keys)}: no slot`] : []),
    ...(told === "" ? [] : [`blackstart-key.service could not unwrap: ${told}`]),
  ];
  // A key that is there and wrong is what the reader must repair; missing ones are not.
  const telling = failures.find(({ code }) => code !== "E_NO_KEY");
  return new Failure(telling?.code ?? "E_NO_KEY", {
    what: telling?.text.what ?? "there is no key to open the store with",
    found: found.join("; "),
    next: telling?.text.next ?? nextWithoutKey,
  });
}

/** A new key is the right step on a new node only: to a store that is there it is of no use. */
const nextWithoutKey = `On a new node make one with \`blackstart key init\`. Generations that are there open only with the old one: put its slot back into ${paths.keys}, or open one with a break-glass key and give it to \`blackstart restore --from\``;

function readReasons(root: string): string {
  try {
    const text =
      readGuarded(reasonsFile(root), 16_384, "the reasons")?.bytes.toString("utf8") ?? "";
    return text.trim().split("\n").join("; ").slice(0, 2000);
  } catch {
    return "";
  }
}
