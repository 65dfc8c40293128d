import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { suite } from "uvu";
import { cleanEnvironment } from "../../../scripts/install.mjs";
import { lackingForNode } from "./requirements.ts";
import { makeNodeDir } from "./residue.ts";
import { eventually } from "./wait.ts";

const residue = suite("e2e/node/residue");

const settings = [
  "/proc/sys/kernel/panic",
  "/proc/sys/kernel/panic_on_oops",
  "/proc/sys/vm/overcommit_memory",
  "/proc/sys/net/ipv4/ip_forward",
];
const readSettings = () => settings.map((file) => readFileSync(file, "utf8"));
const mounts = () => readFileSync("/proc/self/mounts", "utf8");

const cases = [
  { name: "an interrupt leaves nothing behind", signal: "SIGINT", isSwept: false },
  { name: "a termination leaves nothing behind", signal: "SIGTERM", isSwept: false },
  { name: "what a kill leaves behind the next node removes", signal: "SIGKILL", isSwept: true },
] as const;

const lacking = lackingForNode();
if (lacking !== undefined) {
  residue("a node", () => console.log(`SKIPPED what a node leaves behind: ${lacking}`));
} else {
  for (const { name, signal, isSwept } of cases) {
    residue(name, async () => {
      const before = { settings: readSettings(), mounts: mounts() };
      const child = spawn(process.execPath, [join(import.meta.dirname, "residue-child.ts")], {
        env: cleanEnvironment(),
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const [, dir = "", pid = ""] = await eventually(
        "the node is up",
        120_000,
        () => said.match(/up (\S+) (\d+)\n/) ?? undefined,
        () => (child.exitCode === null ? undefined : "its process ended"),
      );
      assert.ok(cgroupsOf(dir).length > 0);
      assert.ok(namesOfProcesses(pid).includes("sleep"), "the container runs");
      const namespace = readlink(`/proc/${pid}/ns/pid`);

      child.kill(signal);
      await ended;
      await eventually("every process of the node ends", 10_000, () =>
        pidsIn(namespace).length === 0 ? true : undefined,
      );
      if (isSwept) {
        assert.ok(existsSync(dir));
        rmSync(makeNodeDir(), { recursive: true });
      }
      assert.equal(existsSync(dir), false);
      assert.deepEqual(cgroupsOf(dir), []);
      assert.deepEqual({ settings: readSettings(), mounts: mounts() }, before);
    });
  }
}

function cgroupsOf(dir: string): readonly string[] {
  return globSync(`/sys/fs/cgroup/**/${basename(dir)}`);
}

function pidsIn(namespace: string): readonly string[] {
  return readdirSync("/proc").filter(
    (pid) => /^\d+$/.test(pid) && readlink(`/proc/${pid}/ns/pid`) === namespace,
  );
}

/** Also those of containers, whose process namespaces lie within. */
function namesOfProcesses(pid: string): readonly string[] {
  return readdirSync(`/proc/${pid}/root/proc`)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readFileSync(`/proc/${pid}/root/proc/${name}/comm`, "utf8").trim());
}

function readlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // it has ended
    return "";
  }
}

residue.run();
