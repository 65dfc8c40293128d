import assert from "node:assert/strict";
import { suite } from "uvu";
import { assertFails, describe, type Run } from "./executable.ts";
import { answerCases } from "./live/answer-cases.ts";
import { assertSecret, type BadCluster, everything } from "./live/bad-cluster.ts";
import { bodyCases } from "./live/body-cases.ts";
import { connectionCases } from "./live/connection-cases.ts";
import { type FakeApiserver, fakeApiserver } from "./live/fake-apiserver.ts";
import { kubeconfigCases } from "./live/kubeconfig-cases.ts";
import { cluster, kubeconfig, liveNode, login, start } from "./live/live-node.ts";
import { memory } from "./node-root.ts";

const test = suite("bad cluster");

const cases: readonly BadCluster[] = [
  ...connectionCases,
  ...kubeconfigCases,
  ...answerCases,
  ...bodyCases,
];

/** A capture that waits between attempts leaves the machine to others. */
const lanes = 4;
const waiting: (() => Promise<void>)[] = [];

for (const one of cases) {
  const number = one.case === undefined ? "" : `case ${one.case}: `;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  waiting.push(() => meet(one).then(resolve, reject));
  test(`${number}${one.name}`, () => promise);
}

for (let lane = 0; lane < lanes; lane += 1) {
  void work();
}

async function work(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    await next();
  }
}

/** Lets a capture meet the cluster, and proves what it said and what is left. */
async function meet(one: BadCluster): Promise<void> {
  if (memory === undefined) {
    console.log(`SKIPPED ${one.name}: no tmpfs is writable`);
    return;
  }
  using node = liveNode();
  let ours: FakeApiserver | undefined;
  const server = await (one.serve?.() ?? fakeApiserver(one.objects ?? cluster()));
  await using _server = server;
  if ("fault" in server) {
    ours = server as FakeApiserver;
    const { fault } = one;
    if (fault !== undefined) {
      ours.fault = (asked) => fault(asked, server as FakeApiserver);
    }
  }
  const text = (one.kubeconfig ?? kubeconfig)(server.port, node);
  if (text !== undefined) {
    login(node, text);
  }
  one.given?.(node);
  const before = everything(node);
  const result = await start(["capture", "--root", node.root, ...(one.words ?? [])]).result;
  assertCapture(one, result);
  if (one.exit !== 0) {
    assert.deepEqual(everything(node), before, describe(result));
  }
  if (one.requests !== undefined) {
    assert.ok((ours?.requests.length ?? 0) <= one.requests, ours?.requests.join("\n"));
  }
}

function assertCapture({ code, exit, says }: BadCluster, result: Run & { ms: number }): void {
  const said = describe(result);
  assertSecret(result);
  if (exit === 0) {
    assert.equal(result.status, 0, said);
  } else {
    assertFails(result, code, exit);
  }
  assert.ok(says?.test(result.stderr) ?? true, `expected ${says}: ${said}`);
  assert.ok(result.ms < 20_000, `it took ${Math.round(result.ms / 1_000)} s: ${said}`);
}

test.run();
