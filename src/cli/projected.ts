import { paths } from "../config.ts";
import { Failure } from "../errors.ts";
import { log } from "../host/log.ts";
import {
  type OwnedLink,
  observeOwnedLinks,
  openManifestDir,
  removeDanglingLinks,
} from "../host/manifest-dir.ts";
import type { Session } from "./session.ts";
import { count } from "./table.ts";

/** What a kubelet sees of ours now. */
export interface Projected {
  /** The one generation that all manifests come from; undefined when they do not agree. */
  readonly generation: number | undefined;
  readonly links: readonly OwnedLink[];
}

/** Looks at our links in the manifest directory. undefined when there is none, or no such directory. */
export function observeProjected(session: Session, staticPodPath: string): Projected | undefined {
  const links = withManifestDir(session, staticPodPath, observeOwnedLinks)?.filter(
    ({ marks }) => marks !== undefined,
  );
  if (links === undefined || links.length === 0) {
    return undefined;
  }
  const generations = new Set(links.map(({ marks }) => marks?.generation));
  const [only] = generations;
  const isOne = generations.size === 1 && only !== undefined && /^[1-9]\d{0,14}$/.test(only);
  return { generation: isOne ? Number(only) : undefined, links };
}

/** Removes the links that the last power cut has left without their manifests. */
export function removeDead(session: Session, staticPodPath: string): void {
  const removed = withManifestDir(session, staticPodPath, removeDanglingLinks) ?? [];
  if (removed.length > 0) {
    log(
      `${count(removed.length, "dangling link")} of an earlier boot removed from ${staticPodPath}`,
    );
  }
}

/** Undefined where the manifest directory is unusable: that is the projection's own failure, told there. */
export function withManifestDir<T>(
  session: Session,
  staticPodPath: string,
  run: (place: ReturnType<typeof openManifestDir>) => T,
): T | undefined {
  try {
    using place = openManifestDir(session.root, staticPodPath, paths.manifests);
    return run(place);
  } catch (error) {
    if (error instanceof Failure || isReadOnly(error)) {
      return undefined;
    }
    throw error;
  }
}

function isReadOnly(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && (error.code === "EROFS" || error.code === "EACCES")
  );
}
