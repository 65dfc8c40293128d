import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy whose connections can be hurt in the ways that networks do it. */
export interface Proxy {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  /** Resets every connection. */
  readonly cut: () => void;
  /** Lets nothing through any more on the connections that there are, and does not say so. */
  readonly stall: () => void;
  /** Ends the server's half of every connection; what the client sends is still passed on. */
  readonly halfClose: () => void;
  /** How many connections are open, and how many there ever were. */
  readonly open: () => number;
  readonly total: () => number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  isStalled: boolean;
}

/** Starts a proxy before a server on loopback. It keeps no event loop alive. */
export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const pairs = new Set<Pair>();
  let total = 0;
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const pair: Pair = { client, server, isStalled: false };
    pairs.add(pair);
    total += 1;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.unref();
      const pass = (run: () => void) => () => {
        if (!pair.isStalled) {
          run();
        }
      };
      from.on("data", (bytes) => pass(() => to.write(bytes))());
      from.on(
        "end",
        pass(() => to.end()),
      );
      from.on("error", () => undefined);
      from.on("close", () => {
        pairs.delete(pair);
        pass(() => to.resetAndDestroy())();
      });
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  listener.unref();
  return {
    url: `https://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    cut: () => {
      for (const { client } of pairs) {
        client.resetAndDestroy();
      }
    },
    stall: () => {
      for (const pair of pairs) {
        pair.isStalled = true;
      }
    },
    halfClose: () => {
      for (const { client } of pairs) {
        client.end();
      }
    },
    open: () => pairs.size,
    total: () => total,
  };
}
