import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Whether the block device under a path is encrypted (dm-crypt, also below LVM or RAID).
 *
 * Reads /sys. Gives undefined where that cannot be told: btrfs, network and memory file systems.
 * Source: Linux 6.12 Documentation/ABI/testing/sysfs-block-dm (`dm/uuid`; cryptsetup's begin with CRYPT-).
 */
export function isEncryptedDisk(path: string): boolean | undefined {
  try {
    const { dev } = lstatSync(path);
    const major = (dev >> 8) & 0xfff;
    const minor = (dev & 0xff) | ((dev >> 12) & 0xfff00);
    return major === 0 ? undefined : isEncryptedDevice(`/sys/dev/block/${major}:${minor}`);
  } catch {
    return undefined;
  }
}

/** A device over several others is encrypted when all of them are. */
function isEncryptedDevice(device: string): boolean {
  if (readUuid(device).startsWith("CRYPT-")) {
    return true;
  }
  const below = readSlaves(device);
  return below.length > 0 && below.every((name) => isEncryptedDevice(`/sys/class/block/${name}`));
}

function readUuid(device: string): string {
  try {
    return readFileSync(join(device, "dm", "uuid"), "utf8");
  } catch {
    return "";
  }
}

function readSlaves(device: string): readonly string[] {
  try {
    return readdirSync(join(device, "slaves"));
  } catch {
    return [];
  }
}
