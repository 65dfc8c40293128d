import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";

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
 * The pods that other manifests in the kubelet's directory define; what no kubelet would take is passed over.
 *
 * Reads the directory. `yaml` is loaded only when a manifest is no JSON. Never rejects.
 *
 * @param dir the manifest directory, absolute on this machine
 * @param ours names of our own links in it
 */
export async function observeForeignPods(
  dir: string,
  ours: ReadonlySet<string>,
): Promise<readonly ForeignPod[]> {
  const pods: ForeignPod[] = [];
  for (const name of namesIn(dir).filter((one) => !one.startsWith(".") && !ours.has(one))) {
    const file = posix.join(dir, name);
    const pod = await readPod(file);
    if (pod !== undefined) {
      pods.push({ file, ...pod });
    }
  }
  return pods;
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
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
