import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { suite } from "uvu";
import { assertFails, describe } from "../end-to-end/executable.ts";
import { assertSecret, everything, isPods } from "../end-to-end/live/bad-cluster.ts";
import {
  type Answer,
  type FakeApiserver,
  fakeApiserver,
  serverIdentity,
} from "../end-to-end/live/fake-apiserver.ts";
import {
  cluster,
  generations,
  kubeconfig,
  liveNode,
  login,
  start,
} from "../end-to-end/live/live-node.ts";
import { listen } from "../kube/servers.ts";

const test = suite("silent cluster");

/** A body that goes on for ever, a little at a time. */
const drip: Answer = (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/json" });
  const timer = setInterval(() => stream.write(" "), 200);
  stream.once("close", () => clearInterval(timer));
};
const silence: Answer = () => undefined;

/** Our server, with this in place of one answer. */
function served(reply: Answer, isMeant = isPods) {
  return async (): Promise<FakeApiserver> => {
    const server = await fakeApiserver(cluster());
    server.fault = (asked) => (isMeant(asked) ? reply : undefined);
    return server;
  };
}

const cases = [
  {
    name: "it accepts connections and says nothing",
    serve: () => listen(undefined, () => undefined),
    code: "E_API_UNREACHABLE",
    says: /cannot be reached/,
    withinS: 12,
  },
  {
    name: "it speaks TLS and then nothing",
    serve: () => listen(serverIdentity(), () => undefined, { ALPNProtocols: ["h2"] }),
    code: "E_API_UNREACHABLE",
    says: /cannot be reached/,
    withinS: 12,
  },
  {
    name: "it answers no request",
    serve: served(silence),
    code: "E_API_UNREACHABLE",
    says: /no answer within 30 s/,
    withinS: 33,
  },
  {
    name: "its answer to one Secret never comes",
    serve: served(silence, ({ path }) => path.includes("/secrets")),
    code: "E_API_UNREACHABLE",
    says: /no answer within 30 s/,
    withinS: 33,
  },
  {
    name: "its answer never ends",
    serve: served(drip),
    code: "E_API_ANSWER",
    says: /not whole after 45 s/,
    withinS: 48,
  },
  {
    name: "its answer stops in the middle",
    serve: served((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.write("{");
    }),
    code: "E_API_ANSWER",
    says: /not whole after 45 s/,
    withinS: 48,
  },
  {
    name: "its answer of 403 never ends",
    serve: served((stream) => {
      stream.respond({ ":status": 403, "content-type": "application/json" });
      stream.write("{");
    }),
    code: "E_API_ANSWER",
    says: /HTTP status 403/,
    withinS: 48,
  },
];

const results = cases.map(async ({ serve, code, says, withinS }) => {
  using node = liveNode();
  await using server = await serve();
  login(node, kubeconfig(server.port));
  const before = everything(node);
  const result = await start(["capture", "--root", node.root]).result;
  assertSecret(result);
  assertFails(result, code, 69);
  assert.match(result.stderr, says);
  assert.match(result.stderr, /capture: waiting for https:/);
  assert.ok(result.ms < withinS * 1_000, `${result.ms} ms`);
  assert.deepEqual(everything(node), before, describe(result));
});

for (const [index, { name }] of cases.entries()) {
  results[index]?.catch(() => undefined);
  test(`${name}: said within a minute, and nothing is written`, () => results[index]);
}

const hanging = (async () => {
  using node = liveNode();
  await using server = await fakeApiserver(cluster());
  const plugin = node.at("etc/kubernetes/plugin");
  writeFileSync(plugin, `#!/bin/sh\necho $$ > ${node.at("pid")}\nexec sleep 1000\n`);
  chmodSync(plugin, 0o755);
  const none = undefined;
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "./plugin",
    interactiveMode: "Never",
  };
  const user = { "client-certificate-data": none, "client-key-data": none, token: none, exec };
  login(node, kubeconfig(server.port, { user }));
  const result = await start(["capture", "--root", node.root, "--node", "n1"]).result;
  assertFails(result, "E_EXEC_PLUGIN", 69);
  assert.match(result.stderr, /not done within 30 s/);
  assert.ok(result.ms < 33_000, `${result.ms} ms`);
  const pid = Number(readFileSync(node.at("pid"), "utf8"));
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
})();
hanging.catch(() => undefined);

test("a credential plugin that hangs is ended after 30 s", () => hanging);

const watching = (async () => {
  using node = liveNode();
  await using server = await fakeApiserver(cluster());
  login(node, kubeconfig(server.port));
  server.fault = (asked) => (isPods(asked) && asked.time === 1 ? drip : undefined);
  const running = start(["capture", "--watch", "--root", node.root]);
  for (let left = 80; !generations(node).includes(3) && left > 0; left -= 1) {
    await pause(1_000);
  }
  running.child.kill("SIGTERM");
  const result = await running.result;
  assert.equal(result.status, 0, describe(result));
  assert.deepEqual(generations(node), [1, 2, 3]);
})();
watching.catch(() => undefined);

test("a watch whose first list never ends asks anew", () => watching);

test.run();
