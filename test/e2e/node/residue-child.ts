// residue-child.ts: makes a node that runs containerd, a container and a kubelet, says "up FOLDER PID", and waits to be ended.
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { buildBinary } from "../binaries.ts";
import { makeCluster } from "./cluster.ts";
import { ctr } from "./containerd.ts";
import { insidePath } from "./machine.ts";
import { makeNode } from "./node.ts";
import { eventually } from "./wait.ts";

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
makeCluster(node);
await node.startKubelet();
await eventually("the kubelet sets what it wants of a kernel", 60_000, () =>
  readFileSync(node.path("/proc/sys/kernel/panic"), "utf8").trim() === "10" ? true : undefined,
);
console.log(`up ${dirname(node.disk)} ${node.machine().pid}`);
setInterval(() => {}, 1000);
