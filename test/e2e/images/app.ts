import { writeImageArchive } from "./archive.ts";

/** Where a container of `makeAppImage` tells which one it is. */
export const versionFile = "/etc/version";

/**
 * Makes an image that only its version tells from the others, and its size.
 *
 * @param version  a word
 * @returns absolute path of the tar
 */
export function makeAppImage(version: string): string {
  return writeImageArchive(`app:${version}`, {
    programs: { "/bin/busybox": "/bin/busybox" },
    links: { "/bin/sleep": "busybox", "/bin/cat": "busybox" },
    texts: { [versionFile]: version },
    command: ["/bin/sleep", "2147483647"],
  });
}
