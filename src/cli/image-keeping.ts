import { readCatalog } from "../archive/layout.ts";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Warning } from "../model/plan.ts";
import { listAside, recordDirs } from "../project/pull-records.ts";
import type { Session } from "./session.ts";
import { count } from "./table.ts";

/** What we keep for images, and keep from the kubelet. */
export interface ImageKeeping {
  /** Names of the files of the kubelet's pull records that are set aside. */
  readonly recordsAside: readonly string[];
  /** null where it is off. */
  readonly archive: { readonly dir: string; readonly images: number } | null;
  readonly warnings: readonly Warning[];
}

/**
 * Looks at what a restore has set aside, and at the archive of the images. Reads only; never rejects.
 *
 * @param rootDir  the kubelet's `--root-dir`; undefined for its default
 */
export function observeImageKeeping(
  { root, config }: Pick<Session, "root" | "config">,
  rootDir: string | undefined,
): ImageKeeping {
  const warnings: Warning[] = [];
  const recordsAside = listAside(recordDirs(root, rootDir), warnings).map(({ file }) => file);
  if (recordsAside.length > 0) {
    const message = `${count(recordsAside.length, "pull record")} of the kubelet ${recordsAside.length === 1 ? "is" : "are"} set aside: until its next start after they are back, any pod of this node can use those images without the secret that pulled them`;
    warnings.push({ code: "W_PULL_RECORDS", message });
  }
  const { archive: dir } = config.images;
  if (dir === "off") {
    return { recordsAside, archive: null, warnings };
  }
  try {
    const images = new Set(readCatalog(under(root, dir)).entries.map(({ reference }) => reference));
    if (images.size === 0) {
      const message = `the archive ${dir} holds no image: it is made when a generation is blessed, or by \`blackstart images archive\`; if it is on a file system of its own, see whether that is mounted`;
      warnings.push({ code: "W_IMAGE_ARCHIVE", message });
    }
    return { recordsAside, archive: { dir, images: images.size }, warnings };
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    const message = `${error.code}: ${error.message}`;
    warnings.push({ code: "W_IMAGE_ARCHIVE", message });
    return { recordsAside, archive: { dir, images: 0 }, warnings };
  }
}
