// Run by connection.test.ts: opens a connection and a watch, closes, and tells how long the process lives on.
import { writeSync } from "node:fs";
import { dialHttp2 } from "../../src/kube/connection.ts";

const { signal } = new AbortController();
const connection = await dialHttp2(
  {
    server: `https://127.0.0.1:${process.env["PORT"]}`,
    tlsServerName: undefined,
    caPem: process.env["CA"],
    clientCert: undefined,
    authorization: undefined,
  },
  signal,
);
await connection.send({ method: "GET", path: "/" }, signal);
await connection.retired;
writeSync(1, "open\n");
await new Promise((resolve) => setTimeout(resolve, 100));
const closedAtMs = performance.now();
connection.close();
process.once("exit", () => {
  writeSync(1, `ended after ${Math.round(performance.now() - closedAtMs)} ms\n`);
});
