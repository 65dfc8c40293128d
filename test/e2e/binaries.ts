import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { cleanEnvironment } from "../../scripts/install.mjs";

/** A released program of another project, and the module here that pins it. */
export type BinaryName =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubelet";

/** Builds under a temporary name in the target's folder, so that the file is whole once it has its name. */
const script = `
test -e "$1" && exit
echo "building $2" >&2
started=$(date +%s)
temporary=$(mktemp "$1.XXXXXX")
trap 'rm -f "$temporary"' EXIT
go build -p 2 -trimpath -ldflags "$3" -o "$temporary" "$4" && chmod 755 "$temporary" && mv "$temporary" "$1" || exit
echo "built $2 in $(($(date +%s) - started)) s: $1" >&2
`;

/**
 * Gives the absolute path of the program, and builds it first where this has not been done from these sources.
 *
 * Blocks for minutes the first time (it fetches and compiles all of Kubernetes) and for some
 * milliseconds afterwards. Builds of several processes happen one after the other.
 */
export function buildBinary(name: BinaryName): string {
  const module = join(import.meta.dirname, name === "etcd" ? "etcd" : "kubernetes");
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
  const file = join(cacheDir(), digest(module, name, go.stdout), name);
  if (existsSync(file)) {
    return file;
  }
  mkdirSync(dirname(file), { recursive: true });
  const version = pinnedVersion(module);
  const label = `${name} ${version} with ${go.stdout.trim()}`;
  const lock = join(cacheDir(), "e2e-build.lock");
  const build = spawnSync(
    "flock",
    [lock, "sh", "-c", script, "sh", file, label, linkerFlags(name, version), `./cmd/${name}`],
    { cwd: module, env, stdio: ["ignore", "ignore", "inherit"] },
  );
  if (build.status !== 0) {
    throw new Error(`${label} does not build: ${build.error?.message ?? "the reason is above"}`);
  }
  return file;
}

function cacheDir(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "blackstart", "e2e");
}

function digest(module: string, name: BinaryName, goVersion: string): string {
  const hash = createHash("sha256").update(goVersion);
  const main = readdirSync(join(module, "cmd", name)).sort();
  for (const source of ["go.mod", "go.sum", ...main.map((file) => `cmd/${name}/${file}`)]) {
    hash.update(source).update(readFileSync(join(module, source)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Of the one dependency that the module is there for: `v1.37.2`. */
function pinnedVersion(module: string): string {
  const text = readFileSync(join(module, "go.mod"), "utf8");
  const version = text.match(
    /^(?:require|)\s*(?:k8s.io\/kubernetes|go.etcd.io\/etcd\/server\/v3) (v\S+)/m,
  );
  if (version?.[1] === undefined) {
    throw new Error(`${module}/go.mod pins no version`);
  }
  return version[1];
}

/** Kubernetes knows its version from its linker only; without it a node reports v0.0.0. */
function linkerFlags(name: BinaryName, version: string): string {
  if (name === "etcd") {
    return "-s -w";
  }
  const [major, minor] = version.slice(1).split(".");
  const stamps = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
  const set = Object.entries(stamps).map(
    ([field, value]) => `-X k8s.io/component-base/version.${field}=${value}`,
  );
  return ["-s -w", ...set].join(" ");
}
