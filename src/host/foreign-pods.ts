import { lstatSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { posix } from "node:path";
import type { ManifestDir } from "./manifest-dir.ts";
import { hasErrno } from "./system-error.ts";
import { writeFailure } from "./write-failure.ts";

/** A static pod that somebody else's manifest defines. */
export interface ForeignPod {
  /** Absolute on this machine. */
  readonly file: string;
  readonly namespace: string;
  readonly name: string;
}

/** The kubelet reads less than this. Source: v1.37.2 `pkg/kubelet/config/common.go: maxConfigLength`. */
const maxManifestBytes = 10 * 1024 * 1024;

/**
 * Names in the manifest directory that a kubelet reads and that are not our links.
 *
 * Where a link leads decides, not what lies there: a manifest of ours that cannot be read now is not somebody
 * else's, or its pod would be taken away for a reading error. What cannot be looked at is passed over.
 *
 * @throws {Failure} E_IO, E_PERMS, … only when the directory cannot be read
 */
export function observeForeignNames(place: ManifestDir): readonly string[] {
  try {
    const names = place.dir.names().filter((name) => !name.startsWith("."));
    return names.filter((name) => isForeign(place, name)).sort();
  } catch (error) {
    throw writeFailure(error, "the kubelet's manifest directory cannot be read", place.path);
  }
}

function isForeign(place: ManifestDir, name: string): boolean {
  try {
    return place.ownedFile(readlinkSync(place.dir.at(name))) === undefined;
  } catch (error) {
    return hasErrno(error, "EINVAL"); // no link
  }
}

/**
 * The pods that manifests in the kubelet's directory define; what no kubelet would take is passed over.
 *
 * Reads the files. `yaml` is loaded only when a manifest is no JSON. Never rejects.
 *
 * @param dir the manifest directory, absolute on this machine
 * @param names of the manifests, as `observeForeignNames` gives them
 */
export async function observeForeignPods(
  dir: string,
  names: readonly string[],
): Promise<readonly ForeignPod[]> {
  const pods: ForeignPod[] = [];
  for (const name of names) {
    const file = posix.join(dir, name);
    const pod = await readPod(file);
    if (pod !== undefined) {
      pods.push({ file, ...pod });
    }
  }
  return pods;
}

async function readPod(file: string): Promise<Omit<ForeignPod, "file"> | undefined> {
  try {
    const stats = lstatSync(file).isSymbolicLink() ? statSync(file) : lstatSync(file);
    if (!stats.isFile() || stats.size >= maxManifestBytes) {
      return undefined;
    }
    const text = readFileSync(file, "utf8");
    const isJson = text.trimStart().startsWith("{");
    const value: unknown = isJson ? JSON.parse(text) : await parseYaml(text);
    const { name, namespace } = metadataOf(value);
    return typeof name === "string"
      ? {
          name,
          namespace: typeof namespace === "string" && namespace !== "" ? namespace : "default",
        }
      : undefined;
  } catch {
    return undefined; // a kubelet cannot read it either
  }
}

/** The first document counts, as for the kubelet. */
async function parseYaml(text: string): Promise<unknown> {
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(text, { logLevel: "error" });
  return Array.isArray(documents) ? documents[0]?.toJS({ maxAliasCount: 100 }) : undefined;
}

function metadataOf(value: unknown): { readonly name?: unknown; readonly namespace?: unknown } {
  const metadata =
    typeof value === "object" && value !== null && "metadata" in value ? value.metadata : undefined;
  return typeof metadata === "object" && metadata !== null ? metadata : {};
}
