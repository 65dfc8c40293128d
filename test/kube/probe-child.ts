// Run by probe.test.ts: probes, then tells what still holds the event loop and how long it lives on.
import { writeSync } from "node:fs";
import { probe } from "../../src/kube/probe.ts";
import { parseServer } from "../../src/model/server-url.ts";

const endpoints = (process.env["PORTS"] ?? "").split(" ").flatMap((port) => {
  const server = parseServer(`https://127.0.0.1:${port}`);
  return "problem" in server
    ? []
    : [{ ...server, origin: "own", own: true, serverNames: ["127.0.0.1"] } as const];
});
await probe({
  endpoints: endpoints.slice(0, 1),
  caPem: process.env["CA"],
  clientCert: undefined,
  nodeAddresses: [],
  deadlineMs: 600,
  networkMs: 0,
  observeNetwork: () => ({ addresses: [], hasRouteTo: () => false }),
  log: () => undefined,
});
await probe({
  endpoints,
  caPem: process.env["CA"],
  clientCert: undefined,
  nodeAddresses: [],
  deadlineMs: 5_000,
  networkMs: 0,
  observeNetwork: () => ({ addresses: [], hasRouteTo: () => false }),
  log: () => undefined,
});
const endedMs = performance.now();
// A destroyed socket is closed some turns later.
await new Promise((resolve) => setTimeout(resolve, 20));
const resources = process
  .getActiveResourcesInfo()
  .filter((name) => !["Immediate", "PipeWrap", "TTYWrap", "FSReqPromise"].includes(name));
process.once("exit", () => {
  const lingeredMs = performance.now() - endedMs;
  writeSync(1, JSON.stringify({ resources, lingeredMs }));
});
