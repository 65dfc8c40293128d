import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { uptime } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { suite } from "uvu";
import { tagsOf } from "../../src/cli/newest-generation.ts";
import { recordName } from "../../src/model/pull-record.ts";
import { assertFails, blackstart, describe, type Run, succeed } from "./executable.ts";
import { assertSecret, everything, isPods } from "./live/bad-cluster.ts";
import {
  type Asked,
  answer,
  type FakeApiserver,
  fakeApiserver,
  listOf,
  refusal,
} from "./live/fake-apiserver.ts";
import {
  cluster,
  generations,
  kubeconfig,
  liveNode,
  login,
  opened,
  start,
  startProgram,
} from "./live/live-node.ts";
import { capture, memory, type NodeRoot } from "./node-root.ts";
import { configMap, objects, pod, secret } from "./objects.ts";

const test = suite("live capture");

/** A test with a node and its cluster. */
function live(
  name: string,
  run: (node: NodeRoot, server: FakeApiserver) => Promise<void>,
  items: readonly object[] = cluster(),
): void {
  test(name, async () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${name}: no tmpfs is writable`);
      return;
    }
    using node = liveNode();
    await using server = await fakeApiserver(items);
    login(node, kubeconfig(server.port));
    await run(node, server);
  });
}

const once = ({ root }: NodeRoot, ...words: readonly string[]) =>
  start(["capture", "--root", root, ...words]);
const watch = ({ root }: NodeRoot) => start(["capture", "--watch", "--root", root]);

/** It ended well, and told nothing secret. */
async function ended(running: ReturnType<typeof start>): Promise<Run & { readonly ms: number }> {
  const result = await running.result;
  assertSecret(result);
  assert.equal(result.status, 0, describe(result));
  return result;
}

/** Waits until something holds. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let left = 500; !holds(); left -= 1) {
    assert.ok(left > 0, `not within 10 s: ${what}`);
    await pause(20);
  }
}

const second = pod({ metadata: { name: "second", uid: "0aa35a6e-68f6-4a5a-9d4c-d3d1a3a0c002" } });
const levelOf = (node: NodeRoot, generation: number) =>
  opened(node, generation).items.find(({ kind }) => kind === "ConfigMap")?.["data"];

live("while pods from a checkpoint run it rests, says so once, and stops at once", async (node) => {
  succeed(["restore", "--force", "--root", node.root]);
  const running = watch(node);
  await running.says(/E_PROJECTED/);
  await pause(2_000);
  const stat = readFileSync(`/proc/${running.child.pid}/stat`, "utf8").split(" ");
  assert.ok(Number(stat[13]) + Number(stat[14]) < 150, `${stat[13]} and ${stat[14]} ticks of CPU`);
  const stoppedMs = performance.now();
  running.child.kill("SIGTERM");
  const { stderr } = await ended(running);
  assert.ok(performance.now() - stoppedMs < 1_000);
  assert.equal(stderr.match(/E_PROJECTED/g)?.length, 1, stderr);
});

live(
  "a generation that somebody else has made is replaced where it is not the truth",
  async (node, server) => {
    const running = watch(node);
    await until(() => generations(node).includes(3), "the first generation");
    capture(node, ...objects({ level: "stranger" }));
    // It looks every half minute, and whenever something happens.
    server.put({ ...pod(), status: { phase: "Running" } });
    await until(() => generations(node).includes(5), "a generation with the truth again");
    running.child.kill("SIGTERM");
    await ended(running);
    assert.deepEqual(levelOf(node, 5), levelOf(node, 3));
    assert.notDeepEqual(levelOf(node, 4), levelOf(node, 3));
  },
);

live(
  "a clock that differs from the apiserver's is told, and refused soon after a boot",
  async (node, server) => {
    const headers = { date: new Date(Date.now() + 3_600_000).toUTCString() };
    const pods = cluster().filter((object) => "kind" in object && object.kind === "Pod");
    server.fault = (asked) =>
      isPods(asked) ? answer(200, listOf("Pod", pods, 7), { headers }) : undefined;
    const { status, stdout, stderr } = await once(node).result;
    if (uptime() < 600) {
      assert.equal(status, 75, stderr);
      assert.match(stderr, /E_CLOCK/);
    } else {
      assert.equal(status, 0, stderr);
      assert.match(stdout, /W_CLOCK: this machine says .*, the apiserver /);
    }
  },
);

live("with a token, which names no node, the store tells whose it is", async (node, server) => {
  const user = { "client-certificate-data": undefined, "client-key-data": undefined };
  login(node, kubeconfig(server.port, { user }));
  const { stdout } = await ended(once(node));
  assert.match(stdout, /^generation 3 of node n1: /);
});

live("a change becomes one generation, and a second capture finds nothing to do", async (node) => {
  await ended(once(node));
  assert.deepEqual([generations(node), levelOf(node, 3)], [[1, 2, 3], { level: "new" }]);
  const before = everything(node);
  const { stdout } = await ended(once(node));
  assert.match(stdout, /nothing has changed since generation 3/);
  assert.deepEqual(everything(node), before);
});

live(
  "what fails once and then is well leads to the generation that it should",
  async (node, server) => {
    const troubles = [
      refusal(429, "TooManyRequests", { "retry-after": "1" }),
      refusal(503, "ServiceUnavailable"),
    ];
    server.fault = () => troubles.shift();
    const { ms } = await ended(once(node));
    assert.ok(ms >= 1_000, `the apiserver asked for a second, and got ${ms} ms`);
    assert.equal(opened(node, 3).pods.length, 1);
  },
);

live(
  "case 94: the second page of the list has expired: the list is taken whole, in one piece",
  async (node, server) => {
    server.fault = (asked) => {
      if (asked.query.has("continue")) {
        return refusal(410, "Expired");
      }
      return isPods(asked) && asked.query.has("limit")
        ? answer(200, listOf("Pod", [pod()], 7).replace('"7"', '"7","continue":"page-2"'))
        : undefined;
    };
    await ended(once(node));
    assert.deepEqual(
      opened(node, 3)
        .pods.map(({ name }) => name)
        .sort(),
      ["second", "web"],
    );
  },
  [...cluster(), second],
);

live(
  "resourceVersions that are absurd, or the same everywhere, change nothing",
  async (node, server) => {
    const odd = {
      ...pod(),
      metadata: { ...pod().metadata, resourceVersion: "-99999999999999999999" },
    };
    server.fault = (asked) =>
      isPods(asked)
        ? answer(
            200,
            listOf(
              "Pod",
              [
                odd,
                {
                  ...second,
                  metadata: { ...second.metadata, resourceVersion: odd.metadata.resourceVersion },
                },
              ],
              0,
            ),
          )
        : undefined;
    await ended(once(node));
    assert.equal(opened(node, 3).pods.length, 2);
  },
);

live(
  "a new pod whose Secret is refused is left out with the reason, the others are captured",
  async (node, server) => {
    server.fault = ({ path }) =>
      path.endsWith("/secrets/own") ? refusal(403, "Forbidden") : undefined;
    const { stdout } = await ended(once(node, "-o", "json"));
    const { pods, unprojectable } = JSON.parse(stdout);
    assert.deepEqual(pods, [{ namespace: "kube-system", name: "web" }]);
    assert.equal(unprojectable[0].code, "E_API_FORBIDDEN");
    assert.match(unprojectable[0].message, /get secrets kube-system\/own: 403 Forbidden/);
  },
  [
    ...cluster(),
    pod({
      metadata: { name: "second", uid: "0aa35a6e-68f6-4a5a-9d4c-d3d1a3a0c002" },
      spec: {
        containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
        volumes: [{ name: "v", secret: { secretName: "own" } }],
      },
    }),
  ],
);

live("half of the objects cannot be had: nothing is written", async (node, server) => {
  server.fault = ({ path }) =>
    /secrets|nodes/.test(path) ? refusal(500, "InternalError") : undefined;
  const before = everything(node);
  const result = await once(node).result;
  assertFails(result, "E_API_SERVER", 69);
  assert.deepEqual(everything(node), before);
});

live(
  "the apiserver dies in the middle, at any request: soon said, and nothing is written",
  async (healthy, server) => {
    await ended(once(healthy));
    const all = server.requests.length;
    await Promise.all(
      Array.from({ length: all }, async (_, done) => {
        using node = liveNode();
        await using dying = await fakeApiserver(cluster());
        login(node, kubeconfig(dying.port));
        dying.fault = ({ number }) => {
          if (number === done + 1) {
            void dying.kill();
          }
          return number <= done ? undefined : () => undefined;
        };
        const before = everything(node);
        const result = await once(node).result;
        assertFails(result, "E_API_UNREACHABLE", 69);
        assert.ok(result.ms < 15_000, `${result.ms} ms after ${done} answers`);
        assert.deepEqual(everything(node), before);
      }),
    );
  },
);

live(
  "case 96: the node has no pods any more: no generation, but with --allow-empty",
  async (node, server) => {
    server.remove("Pod", "web");
    const before = everything(node);
    const result = await once(node).result;
    assertFails(result, "E_SUSPICIOUS_EMPTY", 65);
    assert.match(result.stderr, /generation 2 stays the newest.*1 pod.*0 pods.*--allow-empty/);
    assert.deepEqual(everything(node), before);
    await ended(once(node, "--allow-empty"));
    assert.deepEqual(opened(node, 3).pods, []);
  },
);

live(
  "case 96: the node of a watch has no pods any more: said once, and the generation stays",
  async (node, server) => {
    const running = watch(node);
    await running.says(/generation 3: 1 pod/);
    server.remove("Pod", "web");
    await running.says(/E_SUSPICIOUS_EMPTY/);
    for (let turn = 0; turn < 4; turn += 1) {
      server.put(secret({ metadata: { name: `s${turn}`, namespace: "kube-system" } }));
      await pause(500);
    }
    assert.equal(running.said().match(/E_SUSPICIOUS_EMPTY/g)?.length, 1, running.said());
    assert.deepEqual(generations(node), [1, 2, 3]);
    server.put(pod());
    server.put(configMap({ level: "newest" }));
    await until(() => generations(node).includes(4), "generation 4");
    running.child.kill("SIGTERM");
    await ended(running);
  },
);

const versions = [
  {
    name: "no Node object",
    fault: ({ path }: Asked) => (path.endsWith("/nodes/n1") ? refusal(404, "NotFound") : undefined),
  },
  {
    name: "a Node that may not be read",
    fault: ({ path }: Asked) =>
      path.endsWith("/nodes/n1") ? refusal(403, "Forbidden") : undefined,
  },
  {
    name: "a kubelet of a version that does not exist",
    fault: ({ path }: Asked) =>
      path.endsWith("/nodes/n1")
        ? answer(
            200,
            JSON.stringify({
              apiVersion: "v1",
              kind: "Node",
              metadata: { name: "n1" },
              status: { nodeInfo: { kubeletVersion: "banana" } },
            }),
          )
        : undefined,
  },
];

for (const { name, fault } of versions) {
  live(`case 97: ${name}: captured all the same, and said`, async (node, server) => {
    server.fault = fault;
    const { stdout } = await ended(once(node));
    assert.match(stdout, /W_KUBELET/);
    assert.equal(opened(node, 3).pods.length, 1);
  });
}

live(
  "an image that a copy could not use is said, with its pod, where its record is kept",
  async (node) => {
    const pulled = node.at("var/lib/kubelet/image_manager/pulled");
    mkdirSync(pulled, { recursive: true });
    const credentialMapping = { "registry.example/web": { kubernetesSecrets: [{ name: "s" }] } };
    const record = { kind: "ImagePulledRecord", imageRef: "sha256:1", credentialMapping };
    writeFileSync(join(pulled, recordName("sha256:1")), JSON.stringify(record));
    const said = async () => (await ended(once(node))).stdout.includes("W_IMAGE_CREDENTIALS");
    assert.equal(await said(), false, "restore would set it aside");
    appendFileSync(node.at("etc/blackstart/config.yaml"), "\nimages: {pullRecords: keep}\n");
    assert.equal(await said(), true);
  },
);

for (const closing of ["| true", "| head -c 0", ">&-"]) {
  live(
    `case 98: nobody reads what a capture prints (${closing}): it ends quietly, the generation is made`,
    async (node) => {
      const script = `{ sleep 0.1; "$0" capture --root "$1" -o json; echo "exit $?" >&2; } ${closing}`;
      const { stderr } = await startProgram("bash", ["-c", script, blackstart, node.root]).result;
      // This node has no runtime to tell of its images.
      assert.equal(stderr.replace(/^W_RUNTIME: .*\n/, ""), "exit 0\n");
      assert.deepEqual(generations(node), [1, 2, 3]);
    },
  );
}

live("case 98: nobody reads what a watch says: it goes on", async (node, server) => {
  const running = watch(node);
  running.child.stderr?.destroy();
  await until(() => generations(node).includes(3), "generation 3");
  server.put(configMap({ level: "newest" }));
  await until(() => generations(node).includes(4), "generation 4");
  running.child.kill("SIGTERM");
  assert.equal((await running.result).status, 0);
});

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

live(
  "case 99: a signal at any request of a capture ends it at once; the next one does everything",
  async (node, server) => {
    const before = everything(node);
    await ended(once(node));
    const all = server.requests.length;
    for (let held = 1; held <= all; held += 1) {
      using fresh = liveNode();
      login(fresh, kubeconfig(server.port));
      const signal = signals[held % signals.length];
      const from = server.requests.length;
      const running = once(fresh);
      server.fault = ({ number }) => {
        if (number - from === held) {
          running.child.kill(signal);
        }
        return number - from < held ? undefined : () => undefined;
      };
      const result = await running.result;
      assert.equal(result.signal, signal, describe(result));
      assert.deepEqual([result.stdout, result.stderr], ["", ""]);
      assert.deepEqual(generations(fresh), [1, 2]);
      server.fault = () => undefined;
      await ended(once(fresh));
      assert.deepEqual(levelOf(fresh, 3), { level: "new" });
    }
    assert.notDeepEqual(everything(node), before);
  },
);

live(
  "case 99: a signal at any moment of a capture leaves the old or the new generation",
  async (node, server) => {
    for (let turn = 0; turn < 12; turn += 1) {
      server.put(configMap({ level: String(turn) }));
      const running = once(node);
      await pause(60 + turn * 12);
      running.child.kill(signals[turn % signals.length]);
      const { status, signal, stderr } = await running.result;
      assert.ok(status === 0 || signal !== null, stderr);
      const [newest = 0] = [...generations(node)].reverse();
      assert.equal(opened(node, newest).pods.length, 1);
    }
    server.put(configMap({ level: "last" }));
    await ended(once(node));
    const [newest = 0] = [...generations(node)].reverse();
    assert.deepEqual(levelOf(node, newest), { level: "last" });
  },
);

const moments = [
  { name: "connects", hold: 1, says: undefined },
  { name: "reads the pods", hold: 1, says: /connected to/ },
  { name: "reads the rest", hold: 3, says: /connected to/ },
  { name: "follows", hold: Number.POSITIVE_INFINITY, says: /generation 3/ },
];

for (const { name, hold, says } of moments) {
  live(
    `case 99: SIGTERM or SIGINT while a watch ${name}: it stops within 2 s, with 0`,
    async (_, server) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        using node = liveNode();
        login(node, kubeconfig(server.port));
        const from = server.requests.length;
        server.fault = ({ number }) => (number - from >= hold ? () => undefined : undefined);
        const running = watch(node);
        if (says === undefined) {
          await pause(100);
        } else {
          await running.says(says);
          await pause(100);
        }
        const killedMs = performance.now();
        running.child.kill(signal);
        const result = await running.result;
        const isEarly = says === undefined && result.signal === signal;
        assert.ok(isEarly || result.status === 0, describe(result));
        assert.ok(performance.now() - killedMs < 2_000, `${performance.now() - killedMs} ms`);
        assert.ok(opened(node, generations(node).at(-1) ?? 0).pods.length === 1);
      }
    },
  );
}

live(
  "case 99: SIGHUP lets a watch read its configuration anew, and keep the old one when that is wrong",
  async (node, server) => {
    const running = watch(node);
    await running.says(/generation 3/);
    writeFileSync(node.at("etc/blackstart/config.yaml"), "capture: {interval: never}\n");
    running.child.kill("SIGHUP");
    await running.says(/E_CONFIG.*the configuration stays as it was/);
    await running.says(/(following[\s\S]*){2}/);
    server.put(configMap({ level: "newest" }));
    await running.says(/generation 4/);
    writeFileSync(node.at("etc/blackstart/config.yaml"), "swap: allow\n");
    running.child.kill("SIGHUP");
    await running.says(/configuration read anew/);
    running.child.kill("SIGTERM");
    await ended(running);
  },
);

live(
  "captures beside a watch, and beside one another, make no generation twice",
  async (node, server) => {
    writeFileSync(
      node.at("etc/blackstart/config.yaml"),
      "swap: allow\ncapture: {interval: 1s}\nretention: {generations: 50}\n",
    );
    const running = watch(node);
    await running.says(/generation 3/);
    for (let turn = 0; turn < 4; turn += 1) {
      server.put(configMap({ level: `turn ${turn}` }));
      await pause(300 * turn);
      await Promise.all([ended(once(node)), ended(once(node)), ended(once(node))]);
    }
    await pause(1_500);
    running.child.kill("SIGTERM");
    await ended(running);
    const key = node.key();
    const tags = generations(node).map((generation) => tagsOf(opened(node, generation), key).whole);
    assert.deepEqual(
      tags.filter((tag, index) => tag === tags[index - 1]),
      [],
    );
    assert.deepEqual(levelOf(node, generations(node).at(-1) ?? 0), { level: "turn 3" });
  },
);

live(
  "a capture that another one overtakes does not put what it has read in front of what is newer",
  async (node, server) => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const pods = answer(200, listOf("Pod", [pod()], 7));
    server.fault = (asked) =>
      isPods(asked) && asked.time === 2
        ? (stream) => void released.then(() => pods(stream, asked))
        : undefined;
    const slow = once(node);
    await until(() => server.requests.filter((line) => /\/pods\?/.test(line)).length === 2, "held");
    server.put(configMap({ level: "newest" }));
    await ended(once(node));
    assert.deepEqual(levelOf(node, 3), { level: "newest" });
    release();
    const { stdout } = await ended(slow);
    assert.match(stdout, /nothing has changed since generation 3/);
    assert.deepEqual(generations(node), [1, 2, 3]);
  },
);

test.run();
