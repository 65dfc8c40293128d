import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { RunningContainer } from "./containers.ts";
import type { Node } from "./node.ts";

/** Attribute → value: all that a container can see of how it was made, flat, so that two can be compared. */
export type ContainerView = ReadonlyMap<string, string>;

const namespaces = ["net", "pid", "ipc", "uts", "cgroup", "user", "time"];
/** Of /proc/PID/status: who it is and what it may do. */
const statusFields = [
  ...["Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"],
  ...["NoNewPrivs", "Seccomp", "Cpus_allowed_list"],
];
/** Small programs that run in the container, for what /proc does not tell from outside. */
const probes = [
  ["hostname"],
  ["hostname", "-f"],
  ["cat", "/proc/sys/kernel/domainname"],
  ["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"],
  ["id"],
];
const generated = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"];

type Setter = (name: string, value: unknown) => void;

/** Looks at a container through /proc, its OCI specification, and small programs that run in it. */
export function viewContainer(node: Node, container: RunningContainer): ContainerView {
  const { pid, spec } = container;
  const view = new Map<string, string>();
  const set: Setter = (name, value) =>
    view.set(name, typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined"));
  const proc = (file: string) => readFileSync(node.path(`/proc/${pid}/${file}`), "utf8");
  const root = node.path(`/proc/${pid}/root`);

  viewProcess(proc, set);
  set("cwd", readlinkSync(node.path(`/proc/${pid}/cwd`)));
  for (const name of namespaces) {
    const own = readlinkSync(node.path(`/proc/${pid}/ns/${name}`));
    const machine = readlinkSync(node.path(`/proc/1/ns/${name}`));
    set(`namespace ${name}`, own === machine ? "node's" : "own");
  }
  for (const argv of probes) {
    const { status, stdout, stderr } = node.exec(container, ["/bin/busybox", ...argv]);
    set(`run ${argv.join(" ")}`, `${status} ${stdout}${stderr}`.trim());
  }
  viewSpecification(container, set);
  for (const { point, facts } of mountsOf(proc("mountinfo"))) {
    set(`mount ${point}`, facts);
  }
  for (const { destination } of spec.mounts) {
    if (!/^\/(proc|sys|dev)(\/|$)/.test(destination)) {
      viewTree(root, destination, set);
    }
  }
  for (const file of generated) {
    viewTree(root, file, set);
  }
  return view;
}

function viewProcess(proc: (file: string) => string, set: Setter): void {
  set("argv", proc("cmdline").split("\0").slice(0, -1));
  for (const variable of proc("environ").split("\0").filter(Boolean)) {
    const [name = "", ...value] = variable.split("=");
    set(`env ${name}`, value.join("="));
  }
  const status = new Map(
    proc("status")
      .split("\n")
      .map((line): [string, string] => {
        const [field = "", value = ""] = line.split(":\t");
        return [field, value];
      }),
  );
  for (const field of statusFields) {
    set(`status ${field}`, status.get(field) ?? "");
  }
  set("oom_score_adj", proc("oom_score_adj").trim());
  for (const line of proc("limits").split("\n").slice(1).filter(Boolean)) {
    set(`limit ${line.slice(0, 26).trim()}`, line.slice(26).replace(/\s+/g, " ").trim());
  }
}

/** What runc was told: the words to run, control groups, system calls, and what /proc hides. */
function viewSpecification({ spec }: RunningContainer, set: Setter): void {
  const { linux = {}, root = {}, process } = spec;
  set("specification root", root["readonly"] === true ? "read-only" : "writable");
  const { resources, ...others } = linux;
  for (const [field, value] of Object.entries((resources ?? {}) as Record<string, unknown>)) {
    set(`specification resources ${field}`, value);
  }
  for (const field of ["maskedPaths", "readonlyPaths", "sysctl", "seccomp", "devices"]) {
    const value = JSON.stringify(others[field]) ?? "none";
    set(`specification ${field}`, value.length < 400 ? value : digest(value));
  }
  for (const field of ["args", "user", "rlimits", "terminal", "apparmorProfile", "selinuxLabel"]) {
    set(`specification ${field}`, (process as Readonly<Record<string, unknown>>)[field]);
  }
}

interface Mount {
  readonly point: string;
  /** File system, options, propagation. Where it comes from is another matter. */
  readonly facts: string;
}

/** Source: Linux v6.12 Documentation/filesystems/proc.rst, 3.5. */
function mountsOf(text: string): readonly Mount[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , , point = "", options = "", ...tags] = before.split(" ");
      const [type = "", , superOptions = ""] = after.split(" ");
      const propagation = tags.map((tag) => tag.split(":")[0]).join(",") || "private";
      const size = type === "tmpfs" ? (/size=\d+k/.exec(superOptions)?.[0] ?? "no size") : "";
      return { point, facts: [type, options, propagation, size].join(" ").trim() };
    });
}

/** Every file below: mode, owner, where a link leads, its content. Links are not followed. */
function viewTree(root: string, path: string, set: Setter): void {
  const full = join(root, path);
  const name = `file ${withoutTime(path)}`;
  const stats = lstatSync(full, { throwIfNoEntry: false });
  if (stats === undefined) {
    set(name, "missing");
    return;
  }
  const head = `${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid}`;
  if (stats.isSymbolicLink()) {
    set(name, `link ${stats.uid}:${stats.gid} -> ${withoutTime(readlinkSync(full))}`);
  } else if (stats.isDirectory()) {
    set(name, `directory ${head}`);
    for (const entry of readdirSync(full)) {
      viewTree(root, join(path, entry), set);
    }
  } else if (stats.isFile()) {
    set(name, `${head} ${contentOf(readFileSync(full))}`);
  } else {
    set(name, `special ${head}`);
  }
}

/** The folder that `..data` leads to is called by the time of its making. */
function withoutTime(path: string): string {
  return path.replace(/\.\.\d{4}(_\d\d){5}\.\d+/, "..TIME");
}

function contentOf(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  const [, claims] = /^eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+$/.exec(text) ?? [];
  if (claims !== undefined) {
    return tellToken(Buffer.from(claims, "base64url").toString("utf8"));
  }
  return bytes.length < 400 ? text : digest(text);
}

/** Of a token what lasts from one to the next: whose, of what pod, for whom, and for how long at the least. */
function tellToken(claims: string): string {
  const { aud, sub, iss, exp, iat, ...rest } = JSON.parse(claims) as Record<string, unknown>;
  const { pod, serviceaccount } = (rest["kubernetes.io"] ?? {}) as Record<string, unknown>;
  const lifetime = Math.round((Number(exp) - Number(iat)) / 60);
  return JSON.stringify({ token: { iss, aud, sub, pod, serviceaccount, minutes: lifetime } });
}

function digest(text: string): string {
  return `sha256 ${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}
