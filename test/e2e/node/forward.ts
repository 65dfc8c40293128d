import { existsSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { findLoopbackPort } from "../loopback-port.ts";
import type { Machine } from "./machine.ts";
import { eventually } from "./wait.ts";

const startMs = 10_000;

/** Ports of a machine's own 127.0.0.1 that can be reached from outside. */
export interface Forwarding {
  /** Outside: on 127.0.0.1, the same through all boots. */
  readonly outside: (port: number) => number;
  /** To be called after each boot. */
  readonly start: (machine: Machine) => Promise<void>;
  readonly close: () => void;
}

/**
 * Listens on a port of 127.0.0.1 for each port of the machine; while that is off, connections end at once.
 *
 * @param dir  absolute, short: sockets lie in it
 */
export async function forwardPorts(dir: string, ports: readonly number[]): Promise<Forwarding> {
  const listening = new Map<number, { readonly server: Server; readonly outside: number }>();
  const open = new Set<Socket>();
  const track = (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  };
  for (const port of ports) {
    const outside = await findLoopbackPort();
    const server = createServer((client) => {
      const upstream = connect(join(dir, `${port}.sock`));
      track(client);
      track(upstream);
      client.pipe(upstream).pipe(client);
      client.on("error", () => upstream.destroy());
      upstream.on("error", () => client.resetAndDestroy());
      upstream.on("close", () => client.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(outside, "127.0.0.1", resolve);
    });
    server.unref();
    listening.set(port, { server, outside });
  }
  return {
    outside: (port) => {
      const entry = listening.get(port);
      if (entry === undefined) {
        throw new Error(`port ${port} is not forwarded`);
      }
      return entry.outside;
    },
    start: async (machine) => {
      for (const port of ports) {
        rmSync(join(dir, `${port}.sock`), { force: true });
      }
      const program = join(import.meta.dirname, "forward-child.ts");
      const child = machine.startOnNetwork("forward", [
        process.execPath,
        program,
        dir,
        ...ports.map(String),
      ]);
      await eventually(
        "ports are forwarded",
        startMs,
        () => (ports.every((port) => existsSync(join(dir, `${port}.sock`))) ? true : undefined),
        () => (child.isRunning() ? undefined : child.lastWords()),
      );
    },
    close: () => {
      for (const { server } of listening.values()) {
        server.close();
      }
      // One that is left would keep this process alive.
      for (const socket of open) {
        socket.destroy();
      }
    },
  };
}
