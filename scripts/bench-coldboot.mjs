// npm run bench:coldboot [-- RUNS]: a cold boot restored by blackstart beside the same static pods written by hand, on a
// real node (test/e2e/node). As root; from nothing it builds Kubernetes first. RUNS of each, 7 unless given.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildIfStale } from "./build.mjs";
import { cleanEnvironment, ensureInstalled, pinnedNode, repository } from "./install.mjs";

ensureInstalled();
await buildIfStale();
const program = join(repository, "test/e2e/node/bench-coldboot.ts");
const { status } = spawnSync(pinnedNode(), [program, ...process.argv.slice(2)], {
  env: cleanEnvironment(),
  stdio: "inherit",
});
process.exitCode = status ?? 1;
