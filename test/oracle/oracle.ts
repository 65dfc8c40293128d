import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

const here = import.meta.dirname;

/** What is asked: objects as they are before an apiserver sets defaults. */
export interface Bundle {
  readonly node: string;
  /** Feature gates besides the defaults of 1.37. */
  readonly gates: Readonly<Record<string, boolean>>;
  readonly objects: readonly unknown[];
  readonly tokens: readonly {
    readonly namespace: string;
    readonly pod: string;
    readonly audience: string;
    readonly token: string;
  }[];
  readonly podIP: string;
}

/** A string, or base64 where it is not UTF-8. */
export type Text = string | { readonly base64: string };

export interface MountView {
  readonly name: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  readonly recursiveReadOnly: boolean;
  readonly propagation: string;
  readonly plugin: string;
  readonly source: string;
  readonly subPath: string;
}

export interface ContainerView {
  readonly name: string;
  readonly kind: "init" | "container";
  readonly error?: string;
  readonly env: Readonly<Record<string, Text>>;
  readonly command: readonly string[] | null;
  readonly args: readonly string[] | null;
  readonly mounts: readonly MountView[];
  readonly ports: Readonly<Record<string, string>>;
}

/** What a kubelet makes of one pod, without disk. */
export interface PodView {
  readonly namespace: string;
  readonly name: string;
  /** Why an apiserver refuses the pod. */
  readonly refused?: string;
  readonly error?: string;
  readonly hostname: string;
  /** Of the pod's entry in its hosts file. */
  readonly domain: string;
  /** Supplemental groups of the sandbox, sorted. */
  readonly groups: readonly number[] | null;
  readonly containers: readonly ContainerView[];
  readonly pod: { readonly metadata: Json; readonly spec: Json };
}

export interface Json {
  readonly [field: string]: unknown;
}

export interface Entry {
  readonly path: string;
  readonly type: "dir" | "file" | "symlink";
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly target?: string;
  readonly sha256?: string;
  readonly bytes?: string;
}

export interface VolumeView {
  readonly error?: string;
  readonly entries: readonly Entry[] | null;
}

/** What the kubelet's volume plugins put on disk for one pod: secret, configMap, downwardAPI, projected. */
export interface PodVolumes {
  readonly namespace: string;
  readonly name: string;
  readonly refused?: string;
  readonly volumes: Readonly<Record<string, VolumeView>>;
}

export interface CopiesView {
  /** Manifest file name → why the kubelet ignores it. */
  readonly refused: Readonly<Record<string, string>>;
  readonly pods: readonly PodView[];
}

const script = `test -e "$1" || {
  go build -p 2 -trimpath -ldflags "-s -w" -o "$1.$$" ./cmd/oracle && mv "$1.$$" "$1"
}`;

export type OracleBuild =
  | { readonly kind: "built"; readonly file: string }
  | { readonly kind: "missing"; readonly why: string };

/**
 * Builds the oracle, once for each state of its sources, into the user's cache.
 *
 * Takes minutes the first time (it compiles the kubelet) and a second afterwards.
 */
export function buildOracle(): OracleBuild {
  const sources = [
    "go.mod",
    "go.sum",
    ...readdirSync(join(here, "cmd/oracle"))
      .sort()
      .map((name) => `cmd/oracle/${name}`),
  ];
  const hash = createHash("sha256");
  for (const name of sources) {
    hash.update(name).update(readFileSync(join(here, name)));
  }
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const file = join(cache, "blackstart", `oracle-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(file)) {
    return { kind: "built", file };
  }
  const environment = {
    ...plainEnvironment(),
    CGO_ENABLED: "0",
    GOTOOLCHAIN: "auto",
    GOFLAGS: "-buildvcs=false",
  };
  if (spawnSync("go", ["version"], { env: environment }).error !== undefined) {
    return { kind: "missing", why: "go is not installed" };
  }
  mkdirSync(dirname(file), { recursive: true });
  // One at a time: two test files may ask at once, and each build takes all processors for minutes.
  const build = spawnSync("flock", [`${file}.lock`, "sh", "-c", script, "sh", file], {
    cwd: here,
    env: environment,
    encoding: "utf8",
  });
  if (build.status !== 0) {
    if (/dial tcp|no such host|proxyconnect|i\/o timeout|Service Unavailable/.test(build.stderr)) {
      return {
        kind: "missing",
        why: `Go modules cannot be fetched: ${build.stderr.trim().split("\n").at(-1)}`,
      };
    }
    throw new Error(`the oracle does not build: ${build.stderr}`);
  }
  rmSync(`${file}.lock`, { force: true });
  return { kind: "built", file };
}

/** How the parents look to the kubelet that ran them. */
export function askEnvironments(file: string, bundle: Bundle): readonly PodView[] {
  return ask(file, ["env"], bundle) as readonly PodView[];
}

/** How the static pods of a manifest directory look to a kubelet without an apiserver. */
export function askCopies(file: string, dir: string, bundle: Bundle): CopiesView {
  return ask(file, ["copies", dir], bundle) as CopiesView;
}

/** What the volume plugins write. Needs root: it mounts, in a mount namespace of its own. */
export function askVolumes(file: string, bundle: Bundle): readonly PodVolumes[] {
  const dir = mkdtempSync(join(tmpdir(), "oracle-volumes-"));
  try {
    return ask("unshare", ["--mount", file, "volumes", dir], bundle) as readonly PodVolumes[];
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The objects as kubectl prints YAML, one document each. */
export function askYaml(file: string, bundle: Bundle): string {
  return run(file, ["yaml"], bundle);
}

function ask(command: string, args: readonly string[], bundle: Bundle): unknown {
  return JSON.parse(run(command, args, bundle));
}

function run(command: string, args: readonly string[], bundle: Bundle): string {
  const answer = spawnSync(command, args, {
    input: JSON.stringify(bundle),
    encoding: "utf8",
    maxBuffer: 1 << 30,
    env: plainEnvironment(),
  });
  if (answer.status !== 0) {
    throw new Error(`${command} ${args.join(" ")}: ${answer.error?.message ?? answer.stderr}`);
  }
  return answer.stdout;
}

function plainEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
  return environment;
}
