import { readdirSync, readFileSync, statSync } from "node:fs";
import { posix } from "node:path";
import { type Config, paths, under } from "../config.ts";
import type { Warning } from "../model/plan.ts";
import { readSettings } from "./settings-file.ts";

/** How this node's kubelet is set up, as far as it can be seen. Paths are absolute on the node. */
export interface KubeletFacts {
  readonly staticPodPath: string;
  /** False where nothing names it, so that it is the usual place. */
  readonly namesStaticPodPath: boolean;
  readonly kubeconfigPath: string;
  readonly running: boolean;
  /** What the running one was started with. */
  readonly flags: ReadonlyMap<string, string>;
  readonly nodeIp: string | undefined;
  readonly hostnameOverride: string | undefined;
  readonly warnings: readonly Warning[];
}

/**
 * Looks at the kubelet: our configuration first, then its command line, its configuration file, the defaults.
 *
 * Reads /proc only when `root` is "/". `yaml` is loaded only when a kubelet configuration is there
 * and needed. Never rejects: what cannot be read is a warning and its default.
 */
export async function observeKubelet(root: string, config: Config): Promise<KubeletFacts> {
  const running = root === "/" ? findKubelet() : undefined;
  const flags = parseFlags(running ?? []);
  const absolute = (path: string | undefined) =>
    path === undefined ? undefined : posix.resolve("/", path);
  const warnings: Warning[] = [];
  let staticPodPath =
    config.staticPodPath === "auto"
      ? absolute(flags.get("pod-manifest-path"))
      : config.staticPodPath;
  if (staticPodPath === undefined) {
    const file = absolute(flags.get("config")) ?? paths.kubeletConfig;
    const read = await readStaticPodPath(root, file);
    warnings.push(...read.warnings);
    staticPodPath = read.staticPodPath;
  }
  return {
    staticPodPath: staticPodPath ?? paths.staticPods,
    namesStaticPodPath: staticPodPath !== undefined,
    kubeconfigPath:
      config.kubeconfig === "auto"
        ? (absolute(flags.get("kubeconfig")) ?? paths.kubeletKubeconfig)
        : config.kubeconfig,
    running: running !== undefined,
    flags,
    nodeIp: flags.get("node-ip"),
    hostnameOverride: flags.get("hostname-override"),
    warnings,
  };
}

/**
 * The flags of a command line that have a value; the last of a name counts, as for pflag.
 *
 * Pure. An empty value counts as none.
 */
export function parseFlags(words: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (const [index, word] of words.entries()) {
    const [, name, , value] = /^--?([a-z][a-z0-9-]*)(=([\s\S]*))?$/.exec(word) ?? [];
    if (name !== undefined) {
      const next = words[index + 1] ?? "";
      flags.set(name, value ?? (next.startsWith("-") ? "" : next));
    }
  }
  return new Map([...flags].filter(([, value]) => value !== ""));
}

/** What the running kubelet was started with, where `root` is the machine's own; empty where none is seen. */
export function kubeletFlags(root: string): ReadonlyMap<string, string> {
  return parseFlags((root === "/" ? findKubelet() : undefined) ?? []);
}

/** The command line of the running kubelet, as /proc shows it; undefined when none runs. */
export function findKubelet(): readonly string[] | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      // Only root's: a user's process of that name must not choose whom we trust.
      if (isKubelet(words) && [0, process.geteuid?.()].includes(statSync(`/proc/${pid}`).uid)) {
        return words;
      }
    } catch {
      // The process has ended meanwhile.
    }
  }
  return undefined;
}

/** Pure. True for `kubelet …` and `<any program> kubelet …` in one binary, such as hyperkube. */
function isKubelet([program = "", first]: readonly string[]): boolean {
  const name = posix.basename(program);
  return name === "kubelet" || (name === "hyperkube" && first === "kubelet");
}

interface StaticPodPath {
  readonly staticPodPath: string | undefined;
  readonly warnings: readonly Warning[];
}

async function readStaticPodPath(root: string, file: string): Promise<StaticPodPath> {
  const nothing = (message: string): StaticPodPath => ({
    staticPodPath: undefined,
    warnings: [{ code: "W_CONFIG", message: `${message}: ${paths.staticPods} is used` }],
  });
  const found = readSettings(under(root, file));
  if (found.kind === "absent") {
    return { staticPodPath: undefined, warnings: [] };
  }
  if (found.kind === "unreadable") {
    return nothing(`the kubelet's configuration ${file} cannot be read (${found.problem})`);
  }
  const plain = plainStaticPodPath(found.text);
  if (plain !== undefined) {
    return { staticPodPath: plain, warnings: [] };
  }
  const document = await parseKubeletConfig(found.text);
  if (document === undefined) {
    return nothing(`the kubelet's configuration ${file} is neither YAML nor JSON`);
  }
  const path = Reflect.get(document, "staticPodPath");
  if (typeof path !== "string" || path === "") {
    return nothing(`the kubelet's configuration ${file} names no staticPodPath`);
  }
  // Source: Kubernetes v1.37.2 `pkg/kubelet/kubeletconfig/configfiles/configfiles.go: resolveRelativePaths`.
  return { staticPodPath: posix.resolve(posix.dirname(file), path), warnings: [] };
}

/**
 * The path where it is plain to see, without a YAML parser; undefined when it is not.
 *
 * Pure. In block YAML a line at the left margin can only be a key of the document's own map: nested
 * maps, block scalars and continued lines are indented.
 */
export function plainStaticPodPath(text: string): string | undefined {
  const isBlockMap = /^(---\n|#.*\n|\n)*[A-Za-z]+:( |\n)/.test(text);
  const mentions = text.match(/staticPodPath|\n---|\n\.\.\./g)?.length;
  const line = /^staticPodPath: +("?)(\/[A-Za-z0-9._/-]+)\1$/m.exec(text);
  return isBlockMap && mentions === 1 ? line?.[2] : undefined;
}

/** The document of a kubelet's configuration, YAML or JSON; undefined where it is neither. Loads `yaml` only for YAML. */
export async function parseKubeletConfig(text: string): Promise<object | undefined> {
  try {
    const document: unknown = text.trimStart().startsWith("{")
      ? JSON.parse(text)
      : (await import("yaml")).parse(text, { prettyErrors: false, logLevel: "error" });
    return typeof document === "object" && document !== null ? document : undefined;
  } catch {
    return undefined;
  }
}
