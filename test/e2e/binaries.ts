import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { cleanEnvironment } from "../../scripts/install.mjs";

/** Whose kubelets can be had: the newest, and those that it is older than. */
export const kubeletMinors = ["1.37", "1.36", "1.35", "1.34"] as const;

export type KubeletMinor = (typeof kubeletMinors)[number];

/** A released program of another project. A CNI plugin is named as a network configuration names it. */
export type BinaryName =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet"
  | `kubelet-${Exclude<KubeletMinor, "1.37">}`
  | "containerd"
  | "containerd-shim-runc-v2"
  | "ctr"
  | "loopback"
  | "ptp"
  | "host-local"
  | "registry";

/** Where a program is built from. */
interface Source {
  /** The folder here whose go.mod pins every version. */
  readonly module: string;
  readonly package: string;
  /** The one dependency that the module is there for. */
  readonly of: string;
}

const kubernetes = { module: "kubernetes", of: "k8s.io/kubernetes" };
const containerd = { module: "containerd", of: "github.com/containerd/containerd/v2" };
const cni = { module: "cni", of: "github.com/containernetworking/plugins" };

const sources: Readonly<Record<BinaryName, Source>> = {
  etcd: { module: "etcd", package: "./cmd/etcd", of: "go.etcd.io/etcd/server/v3" },
  "kube-apiserver": { ...kubernetes, package: "./cmd/kube-apiserver" },
  "kube-controller-manager": { ...kubernetes, package: "./cmd/kube-controller-manager" },
  "kube-scheduler": { ...kubernetes, package: "./cmd/kube-scheduler" },
  kubelet: { ...kubernetes, package: "./cmd/kubelet" },
  "kubelet-1.36": { ...kubernetes, module: "kubernetes-1.36", package: "./cmd/kubelet" },
  "kubelet-1.35": { ...kubernetes, module: "kubernetes-1.35", package: "./cmd/kubelet" },
  "kubelet-1.34": { ...kubernetes, module: "kubernetes-1.34", package: "./cmd/kubelet" },
  containerd: { ...containerd, package: `${containerd.of}/cmd/containerd` },
  "containerd-shim-runc-v2": {
    ...containerd,
    package: `${containerd.of}/cmd/containerd-shim-runc-v2`,
  },
  ctr: { ...containerd, package: `${containerd.of}/cmd/ctr` },
  loopback: { ...cni, package: `${cni.of}/plugins/main/loopback` },
  ptp: { ...cni, package: `${cni.of}/plugins/main/ptp` },
  "host-local": { ...cni, package: `${cni.of}/plugins/ipam/host-local` },
  registry: {
    module: "registry",
    package: "./cmd/registry",
    of: "github.com/distribution/distribution/v3",
  },
};

/** Snapshotters of containerd that need kernel headers and are not used here. */
const tags = "no_btrfs,no_devmapper,no_zfs";

/** Builds under a temporary name in the target's folder, so that the file is whole once it has its name. */
const script = `
test -e "$1" && exit
echo "# building $2: minutes, this once" >&2
started=$(date +%s)
temporary=$(mktemp "$1.XXXXXX")
trap 'rm -f "$temporary"' EXIT
go build -p 2 -trimpath -tags "$5" -ldflags "$3" -o "$temporary" "$4" && chmod 755 "$temporary" && mv "$temporary" "$1" || exit
echo "# built $2 in $(($(date +%s) - started)) s: $1" >&2
`;

/**
 * Gives the absolute path of the program, and builds it first where this has not been done from these sources.
 *
 * Blocks for minutes the first time (it fetches and compiles all of Kubernetes) and for some
 * milliseconds afterwards. Builds of several processes happen one after the other.
 */
export function buildBinary(name: BinaryName): string {
  const source = sources[name];
  const module = join(import.meta.dirname, source.module);
  const env = {
    ...cleanEnvironment(),
    CGO_ENABLED: "0",
    GOTOOLCHAIN: "auto",
    GOFLAGS: "-buildvcs=false",
  };
  // In the module's folder, as its go.mod chooses the toolchain.
  const go = spawnSync("go", ["env", "GOVERSION"], { cwd: module, env, encoding: "utf8" });
  if (go.status !== 0) {
    throw new Error(`${name} cannot be built: ${go.stderr ?? "go is not installed"}`);
  }
  const program = basename(source.package);
  const file = join(cacheDir(), digest(module, source.package, go.stdout), program);
  if (existsSync(file)) {
    return file;
  }
  mkdirSync(dirname(file), { recursive: true });
  const version = pinnedVersion(module, source.of);
  const label = `${program} ${version} with ${go.stdout.trim()}`;
  const lock = join(cacheDir(), "e2e-build.lock");
  const flags = linkerFlags(source.of, version);
  const build = spawnSync(
    "flock",
    [lock, "sh", "-c", script, "sh", file, label, flags, source.package, tags],
    { cwd: module, env, stdio: ["ignore", "ignore", "inherit"] },
  );
  if (build.status !== 0) {
    throw new Error(`${label} does not build: ${build.error?.message ?? "the reason is above"}`);
  }
  return file;
}

/** Where everything lies that is made once and used by every run. */
export function cacheDir(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "blackstart", "e2e");
}

function digest(module: string, target: string, goVersion: string): string {
  const hash = createHash("sha256").update(goVersion);
  const isOurs = target.startsWith("./");
  const main = isOurs ? readdirSync(join(module, target)).sort() : [];
  for (const source of ["go.mod", "go.sum", ...main.map((file) => join(target, file))]) {
    hash.update(source).update(readFileSync(join(module, source)));
  }
  // Without a main of ours the folder tells no two programs apart.
  return (isOurs ? hash : hash.update(target)).digest("hex").slice(0, 16);
}

function pinnedVersion(module: string, dependency: string): string {
  const text = readFileSync(join(module, "go.mod"), "utf8");
  const line = text
    .split("\n")
    .find((one) => one.replace("require ", "").trim().startsWith(`${dependency} v`));
  const version = line?.match(/ (v\S+)/)?.[1];
  if (version === undefined) {
    throw new Error(`${module}/go.mod pins no version of ${dependency}`);
  }
  return version;
}

/** These programs know their version from the linker only; without it a node reports v0.0.0. */
function linkerFlags(dependency: string, version: string): string {
  const [major, minor] = version.slice(1).split(".");
  const stamps: Readonly<Record<string, string | undefined>> =
    dependency === kubernetes.of
      ? { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean" }
      : dependency === containerd.of
        ? { Version: version }
        : {};
  const path =
    dependency === kubernetes.of ? "k8s.io/component-base/version" : `${dependency}/version`;
  const set = Object.entries(stamps).map(([field, value]) => `-X ${path}.${field}=${value}`);
  return ["-s -w", ...set].join(" ");
}
