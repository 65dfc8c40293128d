import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, Order } from "./project-driver.ts";

const driver = fileURLToPath(new URL("project-driver.ts", import.meta.url));

/** Why the tests cannot run here; undefined when they can. */
export function missingPrivilege(): string | undefined {
  if (process.getuid?.() !== 0) {
    return "not root";
  }
  const { status } = spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "x", "/mnt"]);
  return status === 0 ? undefined : "no private mount namespace in which to mount";
}

/**
 * Runs the driver in a private mount namespace, after some shell commands ("true" for none), with a
 * prefix such as `setpriv …`.
 */
export function drive(
  before: string,
  order: Partial<Order>,
  prefix: readonly string[] = [],
): Answer {
  const whole: Order = { root: "/", runDir: "/run/blackstart", swap: "refuse", pods: [], ...order };
  const script = `set -e; ${before}; exec "$@"`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };
  const { stdout, stderr, status } = spawnSync(
    "unshare",
    ["-m", "sh", "-c", script, "sh", ...prefix, process.execPath, driver],
    { encoding: "utf8", input: JSON.stringify(whole), env },
  );
  if (status !== 0) {
    throw new Error(`the driver exited ${status}: ${stderr}`);
  }
  return JSON.parse(stdout);
}

/** Runs shell commands, and gives what they print. */
export function shell(script: string): string {
  const { stdout, stderr, status } = spawnSync("sh", ["-ec", script], { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${script}: ${stderr}`);
  }
  return stdout;
}
