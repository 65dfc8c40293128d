import { statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { paths, under } from "../config.ts";
import { Exit, type ExitStatus, Failure } from "../errors.ts";
import {
  publishFile,
  removeFile,
  replaceFile,
  syncDirectory,
  temporaryPrefix,
} from "../host/atomic-file.ts";
import { reasonsFile } from "../host/credential.ts";
import { ensureDirectory, ensureDurableDirectory } from "../host/directory.ts";
import { isEncryptedDisk } from "../host/disk-encryption.ts";
import {
  type KeySlot,
  listSlots,
  openSlot,
  type SlotKind,
  slotDirConcerns,
  slotName,
} from "../host/key-slots.ts";
import { removeUnfinished } from "../host/lock.ts";
import { log, logWarning, print } from "../host/log.ts";
import { expectedFailure, failureOf } from "../host/system-error.ts";
import { encryptCredential } from "../host/systemd-creds.ts";
import { StoreKey } from "../model/store-key.ts";

/** Slots that `key init` can make. */
export type NewSlot = Exclude<SlotKind, "tpm2">;

/** A key that was made. */
export interface MadeKey {
  readonly kid: string;
  readonly slots: readonly KeySlot[];
}

/** `blackstart key init`: makes the key and says what protects it. "credential" is the host slot. */
export async function keyInit(options: {
  readonly root: string;
  readonly slot: "credential" | "plain";
}): Promise<ExitStatus> {
  const { root, slot } = options;
  const { kid, slots } = makeKey(root, [slot === "plain" ? "plain" : "host"]);
  print(`key ${kid} in ${slots.map(({ file }) => file).join(", ")}\n`);
  print(`${describeProtection(root)}\n`);
  return Exit.ok;
}

/** `blackstart key publish`: for blackstart-key.service. A key that no slot gives is no failure: restore says why. */
export async function keyPublish({ root }: { readonly root: string }): Promise<ExitStatus> {
  const published = publishKey(root);
  if (published.kind === "none") {
    log(`no key published: ${published.reasons.join("; ")}`, "warning");
    return Exit.ok;
  }
  // A slot that fails at every boot is one that will be missed.
  for (const reason of published.passed) {
    logWarning({ code: "W_KEY", message: `a slot does not open: ${reason}` });
  }
  log(`key ${published.kid} published from the ${published.slot} slot`);
  return Exit.ok;
}

/**
 * Makes a key and keeps it in each of the slots; every slot is read back before the key counts.
 *
 * The commit point is the last slot's link: before it, a failure takes the slots of this key away again.
 *
 * @throws {Failure} E_KEY_EXISTS only when there is a slot already, E_KEY_SLOT only when a slot cannot be made or does
 *   not give the key back, E_PERMS, E_READONLY, E_NOSPACE, E_FSYNC, E_IO when the disk refuses
 */
export function makeKey(root: string, kinds: readonly NewSlot[]): MadeKey {
  const dir = under(root, paths.keys);
  prepareSlotDir(dir);
  const [existing] = listSlots(root);
  if (existing !== undefined) {
    throw new Failure("E_KEY_EXISTS", {
      what: `this node has key ${existing.kid} already`,
      where: existing.file,
      next: "Keep it: without it no checkpoint opens. To begin anew, move its slots and the store away",
    });
  }
  const [concern] = slotDirConcerns(root);
  if (concern !== undefined) {
    throw concern;
  }
  const key = StoreKey.generate();
  const made: KeySlot[] = [];
  try {
    for (const kind of kinds) {
      const slot = { kind, kid: key.kid, file: join(dir, slotName(kind, key.kid)) };
      made.push(slot);
      writeSlot(slot, key, root);
    }
    return { kid: key.kid, slots: made };
  } catch (error) {
    const left = made.filter(({ file }) => !isRemoved(file)).map(({ file }) => file);
    throw failureOf(error, {
      what: "the key cannot be kept",
      where: dir,
      remains: left.length === 0 ? "no key was made" : `${left.join(", ")} could not be removed`,
    });
  } finally {
    key.wipe();
  }
}

function isRemoved(file: string): boolean {
  try {
    removeFile(file);
    return true;
  } catch {
    return false; // The first error is the one to tell.
  }
}

/** What publishing the key came to. */
export type Published =
  | {
      readonly kind: "published";
      readonly kid: string;
      readonly slot: SlotKind;
      /** Why the slots before it do not open. */
      readonly passed: readonly string[];
    }
  | { readonly kind: "none"; readonly reasons: readonly string[] };

/**
 * Writes the key of the first slot that opens to /run/blackstart/key (0400), or each slot's reason beside it.
 *
 * @throws {Failure} E_NOT_MEMORY only when that place is not a tmpfs or ramfs; E_NOSPACE, E_IO when it cannot be written
 */
export function publishKey(root: string): Published {
  const run = under(root, paths.run);
  const reasons: string[] = [];
  try {
    ensureDirectory(run, 0o700);
    refuseDisk(run);
    removeUnfinished(run, temporaryPrefix);
    for (const slot of listSlots(root)) {
      const key = tryOpen(slot, root, reasons);
      if (key !== undefined) {
        replaceFile(run, "key", key.expose(), 0o400);
        removeFile(reasonsFile(root));
        key.wipe();
        return { kind: "published", kid: key.kid, slot: slot.kind, passed: reasons };
      }
    }
    if (reasons.length === 0) {
      reasons.push("there is no key slot; run `blackstart key init`");
    }
    removeFile(under(root, paths.key));
    replaceFile(run, "key.reasons", Buffer.from(`${reasons.join("\n")}\n`), 0o400);
    return { kind: "none", reasons };
  } catch (error) {
    throw failureOf(error, { what: "the key cannot be published", where: run });
  }
}

/** One honest line about what protects the key, and so the store, on a disk that was stolen. */
export function describeProtection(root: string): string {
  const slots = listSlots(root);
  const beside = slots.filter(({ kind }) => kind !== "tpm2");
  if (slots.length === 0) {
    return "at rest: there is no key";
  }
  if (beside.length === 0) {
    return "at rest: sealed to this machine's TPM";
  }
  const kind = beside.some((slot) => slot.kind === "plain") ? "plain file" : "host secret";
  switch (isEncryptedDisk(under(root, paths.keys))) {
    case true:
      return `at rest: the disk's encryption; the key (${kind}) is beside the data`;
    case false:
      return `at rest: none, the key (${kind}) is beside the data on an unencrypted disk`;
    case undefined:
      return `at rest: none, the key (${kind}) is beside the data, unless the disk is encrypted`;
  }
}

function writeSlot(slot: KeySlot, key: StoreKey, root: string): void {
  const bytes = slot.kind === "plain" ? key.expose() : sealForHost(key, root, slot.file);
  publishFile(dirname(slot.file), slotName(slot.kind, slot.kid), bytes, 0o600);
  const back = tryOpen(slot, root, []);
  if (back?.kid !== key.kid) {
    throw new Failure("E_KEY_SLOT", {
      what: "the new slot does not give the key back",
      where: slot.file,
      found: "no key was made",
      next: "Use `--slot plain`, knowing that it protects nothing",
    });
  }
  back.wipe();
}

function sealForHost(key: StoreKey, root: string, file: string): Buffer {
  const sealed = encryptCredential(key.expose(), root);
  if (sealed.kind === "failed") {
    throw new Failure("E_KEY_SLOT", {
      what: "the host's credential secret cannot seal the key",
      where: file,
      found: sealed.reason,
      next: "Use `--slot plain`, knowing that it protects nothing",
    });
  }
  return sealed.bytes;
}

function tryOpen(slot: KeySlot, root: string, reasons: string[]): StoreKey | undefined {
  try {
    return openSlot(slot, root);
  } catch (error) {
    const { text } = expectedFailure(error, { what: "the slot cannot be read", where: slot.file });
    reasons.push(`${slot.kind}: ${text.found ?? text.what}`);
    return undefined;
  }
}

/** Makes the directory, or settles what a killed run has left in it: no unfinished key, no name that is not durable. */
function prepareSlotDir(dir: string): void {
  try {
    ensureDurableDirectory(dir);
    removeUnfinished(dir, temporaryPrefix);
    syncDirectory(dir);
  } catch (error) {
    throw failureOf(error, { what: "the key slots cannot be made", where: dir });
  }
}

/** Magic numbers of tmpfs and ramfs. Source: statfs(2), Linux man-pages 6.03. */
const memoryTypes = [0x01021994, 0x858458f6];

function refuseDisk(run: string): void {
  if (!memoryTypes.includes(statfsSync(run).type)) {
    throw new Failure("E_NOT_MEMORY", {
      what: "refusing to write the key to a disk",
      where: run,
      found: "it is not a tmpfs or ramfs",
      next: "Mount a tmpfs there (run-blackstart.mount)",
    });
  }
}
