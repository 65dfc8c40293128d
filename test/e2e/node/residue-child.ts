// residue-child.ts: makes a node that runs containerd and a container, says "up FOLDER PID", and waits to be ended.
import { dirname } from "node:path";
import { buildBinary } from "../binaries.ts";
import { ctr } from "./containerd.ts";
import { insidePath } from "./machine.ts";
import { makeNode } from "./node.ts";

const node = await makeNode();
await node.boot();
await node.startContainerd();
const shim = insidePath(buildBinary("containerd-shim-runc-v2"));
const { status, stderr } = ctr(node.machine(), [
  ...[
    "run",
    "--detach",
    "--runtime",
    shim,
    "docker.io/library/busybox:lab",
    "sleeper",
    "sleep",
    "3600",
  ],
]);
if (status !== 0) {
  throw new Error(stderr);
}
console.log(`up ${dirname(node.disk)} ${node.machine().pid}`);
setInterval(() => {}, 1000);
