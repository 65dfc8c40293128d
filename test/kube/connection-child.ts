// Run by connection.test.ts: opens a connection and a watch, closes, and tells how long the process lives on.
import { writeSync } from "node:fs";
import { connectionLimits, dialHttp2 } from "../../src/kube/connection.ts";

const signal = new AbortController().signal;
const connection = await dialHttp2(
  {
    server: `https://127.0.0.1:${process.env["PORT"]}`,
    tlsServerName: undefined,
    caPem: process.env["CA"],
    clientCert: undefined,
    authorization: undefined,
  },
  signal,
  connectionLimits,
);
await connection.send({ method: "GET", path: "/" }, signal);
writeSync(1, "open\n");
await new Promise((resolve) => setTimeout(resolve, 100));
void connection.send({ method: "GET", path: "/" }, signal).catch(() => undefined);
await new Promise((resolve) => setTimeout(resolve, 20));
const closedAtMs = performance.now();
connection.close();
process.once("exit", () => {
  writeSync(1, `ended after ${Math.round(performance.now() - closedAtMs)} ms\n`);
});
