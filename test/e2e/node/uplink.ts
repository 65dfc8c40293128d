import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../daemon.ts";
import type { Node } from "./node.ts";
import { eventually } from "./wait.ts";

/** `unplugged`: no carrier. `site`: a cable that leads to nobody. `whole`: the control plane answers at `address`. */
export type Reach = "unplugged" | "site" | "whole";

/** A network of its own between a node and a server outside, with a cable that can be cut anywhere. */
export interface Uplink {
  /** Where the node finds the server, on `port`. */
  readonly address: string;
  readonly port: number;
  /** To be called after each boot of the node, and whenever something happens to the network. */
  readonly set: (reach: Reach) => void;
  readonly close: () => Promise<void>;
}

const startMs = 10_000;
const address = "192.0.2.1";
const port = 6443;
const inner = "wire";

/**
 * Makes the network. Its far end is a namespace that holds nothing but a forwarder to the server.
 *
 * @param dir  absolute, short: a socket lies in it
 * @param serverPort  of 127.0.0.1, outside
 */
export async function makeUplink(node: Node, dir: string, serverPort: number): Promise<Uplink> {
  const socket = join(dir, `${serverPort}.sock`);
  const log = join(dir, "uplink.log");
  const program = (name: string) => join(import.meta.dirname, name);
  // Two processes: one has the loopback that the server listens on, the other the node's network.
  const near = startDaemon(
    process.execPath,
    [program("forward-child.ts"), dir, `${serverPort}`],
    log,
  );
  const far = startDaemon(
    "unshare",
    ["--net", "--", process.execPath, program("uplink-child.ts"), `${port}`, socket],
    log,
  );
  await eventually(
    "an uplink stands",
    startMs,
    () => (existsSync(socket) && listens(far.pid) ? true : undefined),
    () => (near.isRunning() && far.isRunning() ? undefined : far.lastWords()),
  );
  return {
    address,
    port,
    set: (reach) => {
      // Known by its being there: each boot makes a new cable, in the node's own namespace.
      const isNew = run(node.machine().pid, ["link", "show", inner]).status === 0;
      if (isNew) {
        // That of the boot before goes with its namespace, but not at once.
        run(far.pid, ["link", "delete", inner]);
        succeed(node.machine().pid, ["link", "set", inner, "netns", `${far.pid}`]);
      }
      succeed(far.pid, ["address", "flush", "dev", inner]);
      if (reach === "whole") {
        succeed(far.pid, ["address", "add", `${address}/24`, "dev", inner]);
      }
      succeed(far.pid, ["link", "set", inner, reach === "unplugged" ? "down" : "up"]);
    },
    close: async () => {
      await Promise.all([near.stop("SIGKILL"), far.stop("SIGKILL")]);
    },
  };
}

function listens(pid: number): boolean {
  const words = ["-t", `${pid}`, "-n", "cat", "/proc/self/net/tcp"];
  const wanted = `:${port.toString(16).toUpperCase()} `;
  return spawnSync("nsenter", words, { encoding: "utf8" }).stdout.includes(wanted);
}

function run(pid: number, words: readonly string[]) {
  return spawnSync("nsenter", ["-t", `${pid}`, "-n", "ip", ...words], { encoding: "utf8" });
}

function succeed(pid: number, words: readonly string[]): void {
  const { status, stderr } = run(pid, words);
  if (status !== 0) {
    throw new Error(`ip ${words.join(" ")}: ${stderr}`);
  }
}
