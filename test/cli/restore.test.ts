import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { cleanEnvironment } from "../../scripts/install.mjs";
import { parseMarks } from "../../src/model/marks.ts";
import {
  assertFails,
  assertWellSaid,
  blackstart,
  describe,
  type Run,
  run,
  succeed,
} from "../end-to-end/executable.ts";
import {
  bareNode,
  capture,
  memory,
  type NodeRoot,
  nodeWithStore,
  shown,
} from "../end-to-end/node-root.ts";
import { marker, objects, pod, podLink } from "../end-to-end/objects.ts";
import { modeOf, snapshot } from "../end-to-end/tree.ts";
import { type Identity, makeCertificate } from "../kube/certificates.ts";
import { answer, listen } from "../kube/servers.ts";

const test = suite("cli/restore");

const restore = (node: NodeRoot, ...words: readonly string[]) =>
  run(["restore", ...words, "--root", node.root]);

/** A test that needs a root in memory. */
function inMemory(name: string, check: (node: NodeRoot) => unknown): void {
  test(name, async () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${name}: no tmpfs is writable`);
      return;
    }
    using node = nodeWithStore();
    await check(node);
  });
}

/** The power fails: what is in memory is gone. */
function cutPower(node: NodeRoot): void {
  rmSync(node.at("run/blackstart"), { recursive: true, force: true });
}

const generationOf = (node: NodeRoot) =>
  parseMarks(readFileSync(join(node.manifests, podLink), "utf8"))?.generation;

const attempts = (node: NodeRoot) =>
  readdirSync(node.store)
    .filter((name) => name.startsWith("attempts-"))
    .map((name) => name.replace(/^attempts-0*/, ""))
    .sort();

inMemory(
  "a cold boot makes the pod visible: volumes, manifest, link; secrets for root alone",
  (node) => {
    const result = restore(node);
    assert.equal(result.status, 0, describe(result));
    assertWellSaid(result);
    assert.match(result.stderr, /restore 3\/5 probe: cold, /);
    assert.match(result.stderr, /restore 5\/5 project: 1 of 1 pod, \d+ ms\n$/);
    assert.equal(result.stdout, "");
    assert.deepEqual(shown(node), [podLink]);
    const manifest = JSON.parse(readFileSync(join(node.manifests, podLink), "utf8"));
    const volume = node.at(manifest.spec.volumes[0].hostPath.path);
    assert.equal(readFileSync(join(volume, "key"), "utf8"), `${marker}-key`);
    assert.equal(modeOf(node.at("run/blackstart")), "0700");
    assert.equal(modeOf(node.at("run/blackstart/manifests/kube-system_web.json")), "0600");
    assert.ok(!existsSync(node.at("run/blackstart/lock")));
  },
);

inMemory("-o json tells the verdict, the generation, each pod's files and outcome", (node) => {
  const data = JSON.parse(restore(node, "-o", "json").stdout);
  assert.deepEqual(data, {
    verdict: "cold",
    generation: 2,
    node: "n1",
    dryRun: false,
    pods: [
      {
        namespace: "kube-system",
        name: "web",
        manifest: "/run/blackstart/manifests/kube-system_web.json",
        volumes: ["/run/blackstart/pods/kube-system_web/secret"],
        outcome: "projected",
      },
    ],
    skipped: [],
    removed: [],
    pullRecords: { putBack: [], setAside: [], images: [] },
    warnings: data.warnings,
  });
  assert.equal(JSON.parse(restore(node, "-o", "json").stdout).pods[0].outcome, "unchanged");
});

for (const words of [[], ["--force"], ["--generation", "1"], ["--reset-attempts"]]) {
  inMemory(`--dry-run ${words.join(" ")} prints the plan and writes nothing at all`, (node) => {
    symlinkSync(
      "../../../run/blackstart/manifests/gone.json",
      join(node.manifests, "blackstart_x.json"),
    );
    cutPower(node);
    const before = snapshot(node.root);
    const result = restore(node, "--dry-run", ...words);
    assert.equal(result.status, 0, describe(result));
    assert.match(result.stdout, /^generation [12], taken .* on n1, 1 pod\n.*kube-system\/web/s);
    assert.equal(
      JSON.parse(restore(node, "--dry-run", "-o", "json", ...words).stdout).dryRun,
      true,
    );
    assert.deepEqual(snapshot(node.root), before);
  });
}

inMemory("a second run changes nothing, says so, and takes no attempt", (node) => {
  restore(node);
  const before = snapshot(node.at("run")).concat(snapshot(node.at("etc")), snapshot(node.store));
  const result = restore(node);
  assert.equal(result.status, 0, describe(result));
  assert.match(result.stderr, /1 of 1 pod, nothing changed: it is all there already/);
  const after = snapshot(node.at("run")).concat(snapshot(node.at("etc")), snapshot(node.store));
  // The lock comes and goes in /run/blackstart; everything else is as it was, to the inode.
  const isSteady = (line: string) => !/^blackstart 4/.test(line);
  assert.deepEqual(after.filter(isSteady), before.filter(isSteady));
});

inMemory(
  "three boots, then the newest blessed one, then none, until the attempts are reset",
  (node) => {
    writeFileSync(join(node.store, `blessed-${"1".padStart(20, "0")}`), "");
    const generations: (string | undefined)[] = [];
    for (let boot = 0; boot < 6; boot += 1) {
      cutPower(node);
      const result = restore(node);
      assert.equal(result.status, 0, describe(result));
      generations.push(generationOf(node));
    }
    assert.deepEqual(generations, ["2", "2", "2", "1", "1", "1"]);
    assert.deepEqual(attempts(node), ["1+0-3", "2+0-3"]);

    cutPower(node);
    const looped = restore(node);
    assertFails(looped, "E_BOOT_LOOP", 0);
    assert.match(looped.stderr, /--reset-attempts/);
    assert.deepEqual(shown(node), []);
    assert.ok(!existsSync(node.at("run/blackstart/pods")));

    const reset = restore(node, "--reset-attempts");
    assert.equal(reset.status, 0, describe(reset));
    assert.equal(generationOf(node), "2");
    assert.deepEqual(attempts(node), ["2+2-1"]);
  },
);

inMemory("a boot in which nothing at all can be projected does not use up an attempt", (node) => {
  const link = join(node.manifests, podLink);
  for (let boot = 0; boot < 4; boot += 1) {
    writeFileSync(link, "somebody else's");
    const result = restore(node);
    assert.equal(result.status, 73, describe(result));
    assert.match(result.stderr, /this boot does not count, 3 attempts left/);
  }
  rmSync(link);
  assert.equal(restore(node).status, 0);
  assert.equal(generationOf(node), "2");
  assert.deepEqual(attempts(node), ["2+2-1"]);
});

inMemory(
  "when retention has dropped what is projected, or it is damaged, the newest is taken",
  (node) => {
    restore(node);
    for (const level of ["3", "4", "5"]) {
      capture(node, ...objects({ level }));
    }
    succeed(["settle", "--root", node.root]);
    const dropped = restore(node);
    assert.equal(dropped.status, 0, describe(dropped));
    assert.match(dropped.stderr, /W_STORE: generation 2, which is projected, does not open: /);
    assert.equal(generationOf(node), "5");
    truncateSync(node.generation(5), 100);
    const damaged = restore(node);
    assert.equal(damaged.status, 0, describe(damaged));
    assert.equal(generationOf(node), "4");
  },
);

inMemory("a person who names a generation gets it, whatever its attempts", (node) => {
  writeFileSync(join(node.store, `attempts-${"1".padStart(20, "0")}+0-3`), "");
  const result = restore(node, "--generation", "1");
  assert.equal(result.status, 0, describe(result));
  assert.equal(generationOf(node), "1");
  assert.deepEqual(attempts(node), ["1+0-3"]);
  assertFails(restore(node, "--generation", "7"), "E_NO_CHECKPOINT", 66);
});

inMemory("manifests of others stay as they are, and only dead links of ours go", (node) => {
  const others: Readonly<Record<string, string>> = {
    "etcd.yaml": "kind: Pod\n",
    "blackstart_a_b.json": "not ours\n",
    ".hidden": "x",
  };
  for (const [name, text] of Object.entries(others)) {
    writeFileSync(join(node.manifests, name), text);
  }
  symlinkSync("/nowhere/x.json", join(node.manifests, "foreign.json"));
  const foreign = snapshot(node.manifests);
  symlinkSync(
    "../../../run/blackstart/manifests/gone.json",
    join(node.manifests, "blackstart_old.json"),
  );
  const result = restore(node);
  assert.match(result.stderr, /1 dangling link of an earlier boot removed/);
  assert.deepEqual(
    snapshot(node.manifests).filter((line) => !line.startsWith(podLink)),
    foreign,
  );
});

inMemory(
  "a pod that is no longer in the generation is taken away, one that fails leaves the others",
  (node) => {
    const plain = { containers: [{ name: "c", image: "i" }], volumes: [] };
    const other = pod({ metadata: { name: "other", uid: undefined }, spec: plain });
    capture(node, ...objects(), other);
    restore(node);
    assert.deepEqual(shown(node), ["blackstart_kube-system_other.json", podLink]);
    const fewer = restore(node, "--generation", "2");
    assert.match(fewer.stderr, /leftovers? removed/);
    assert.deepEqual(shown(node), [podLink]);

    writeFileSync(join(node.manifests, "blackstart_kube-system_other.json"), "foreign\n");
    const partial = restore(node, "--generation", "3", "-o", "json");
    assert.equal(partial.status, 73, describe(partial));
    const outcomes = JSON.parse(partial.stdout).pods.map((one: { outcome: string }) => one.outcome);
    assert.deepEqual(outcomes.sort(), ["failed", "updated"]);
    assert.match(partial.stderr, /left out kube-system\/other: E_FOREIGN: /);
    assert.match(partial.stderr, /project: 1 of 2 pods/);
  },
);

inMemory(
  "--from takes a sealed file of another store, or the document that any JOSE tool gives",
  (node) => {
    const file = node.at("in/copied.jwe");
    copyFileSync(node.generation(1), file);
    rmSync(node.store, { recursive: true });
    assert.equal(restore(node, "--from", file).status, 0);
    assert.deepEqual(shown(node), [podLink]);
    assert.ok(!existsSync(node.store), "nothing is written into a store");

    rmSync(node.keys, { recursive: true });
    assertFails(restore(node, "--from", file), "E_NO_KEY", 78);
    const document = {
      apiVersion: "blackstart.dev/v1",
      kind: "Checkpoint",
      metadata: { node: "n1", capturedAt: "2026-01-02T03:04:05.000Z", source: "files" },
      pods: [{ namespace: "kube-system", name: "web" }],
      unprojectable: [],
      tokens: [],
      items: objects(),
    };
    for (const [at, text] of [
      JSON.stringify(document),
      JSON.stringify(document, null, 2),
    ].entries()) {
      cutPower(node);
      writeFileSync(node.at(`in/${at}.json`), text);
      const result = restore(node, "--from", node.at(`in/${at}.json`));
      assert.equal(result.status, 0, describe(result));
      assert.deepEqual(shown(node), [podLink]);
    }
    cutPower(node);
    const piped = run(["restore", "--from", "-", "--root", node.root], {
      input: JSON.stringify(document),
    });
    assert.equal(piped.status, 0, describe(piped));
  },
);

const wrongFiles: readonly { name: string; text: string; code: string; exit: number }[] = [
  { name: "is missing", text: "", code: "E_NO_INPUT", exit: 66 },
  { name: "is no checkpoint", text: `${marker}\n`, code: "E_MAGIC", exit: 65 },
  { name: "is an object", text: '{"apiVersion":"v1","kind":"Pod"}', code: "E_OBJECT", exit: 65 },
  {
    name: "is cut off",
    text: `{"apiVersion":"blackstart.dev/v1","${marker}`,
    code: "E_OBJECT",
    exit: 65,
  },
];

for (const { name, text, code, exit } of wrongFiles) {
  inMemory(`--from a file that ${name} is ${code}`, (node) => {
    const file = node.at("in/given.json");
    if (text !== "") {
      writeFileSync(file, text);
    }
    const result = restore(node, "--from", file);
    assertFails(result, code, exit);
    assert.ok(!result.stderr.includes(marker), describe(result));
    assert.deepEqual(shown(node), []);
  });
}

/** A checkpoint's document as a live capture makes it. */
function captured(kubelet: object): object {
  return {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "n1", capturedAt: new Date().toISOString(), source: "apiserver", kubelet },
    pods: [{ namespace: "kube-system", name: "web" }],
    unprojectable: [],
    tokens: [],
    items: objects(),
  };
}

/** The kubelet's kubeconfig for a server on loopback. */
function trust(node: NodeRoot, ca: Identity, port: number): void {
  const kubeconfig = `apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters:
- name: x
  cluster:
    server: https://127.0.0.1:${port}
    certificate-authority-data: ${Buffer.from(ca.certPem).toString("base64")}
users: [{name: x, user: {}}]
`;
  writeFileSync(node.at("etc/kubernetes/kubelet.conf"), kubeconfig);
}

inMemory(
  "an apiserver that answers makes the boot a warm one: nothing is done, exit 0",
  async (node) => {
    const ca = makeCertificate({ name: "kubernetes", ca: true });
    const identity = makeCertificate({ name: "apiserver", issuer: ca, sans: ["127.0.0.1"] });
    await using server = await listen(identity, answer(200, "ok"));
    trust(node, ca, server.port);
    const before = snapshot(node.root);
    const warm = await start(node, ["restore", "-o", "json"]).end;
    assert.equal(warm.status, 0, describe(warm));
    assert.equal(JSON.parse(warm.stdout).verdict, "warm");
    assert.deepEqual(snapshot(node.root), before);

    // A warm boot needs neither key nor store.
    rmSync(node.keys, { recursive: true });
    rmSync(node.store, { recursive: true });
    const bare = await start(node, ["restore"]).end;
    assert.equal(bare.status, 0, describe(bare));
    assert.match(bare.stderr, /open: nothing, E_NO_(KEY|STORE)\n.*probe: warm, /s);
  },
);

inMemory(
  "a kubeconfig that only the kubelet's flags named is known from the checkpoint",
  async (node) => {
    const ca = makeCertificate({ name: "kubernetes", ca: true });
    const identity = makeCertificate({ name: "apiserver", issuer: ca, sans: ["127.0.0.1"] });
    await using server = await listen(identity, answer(200, "ok"));
    trust(node, ca, server.port);
    renameSync(node.at("etc/kubernetes/kubelet.conf"), node.at("etc/kubernetes/other.conf"));
    const file = node.at("in/checkpoint.json");
    writeFileSync(file, JSON.stringify(captured({ kubeconfig: "/etc/kubernetes/other.conf" })));
    const warm = await start(node, ["restore", "--from", file, "-o", "json"]).end;
    assert.equal(warm.status, 0, describe(warm));
    assert.equal(JSON.parse(warm.stdout).verdict, "warm", describe(warm));
  },
);

inMemory("an apiserver of another cluster is no answer", async (node) => {
  const ca = makeCertificate({ name: "kubernetes", ca: true });
  const other = makeCertificate({ name: "kubernetes", ca: true });
  const identity = makeCertificate({ name: "apiserver", issuer: other, sans: ["127.0.0.1"] });
  await using server = await listen(identity, answer(200, "ok"));
  trust(node, ca, server.port);
  writeFileSync(
    node.at("etc/blackstart/config.yaml"),
    "swap: allow\nprobe: {deadline: 1s, network: 0s}\n",
  );
  const result = await start(node, ["restore"]).end;
  assert.equal(result.status, 0, describe(result));
  assert.match(result.stderr, /probe: cold, /);
  assert.deepEqual(shown(node), [podLink]);
});

inMemory(
  "case 99: SIGTERM while an apiserver keeps silent ends it at once, and leaves nothing",
  async (node) => {
    const ca = makeCertificate({ name: "kubernetes", ca: true });
    await using server = await listen(undefined, () => undefined);
    trust(node, ca, server.port);
    writeFileSync(node.at("etc/blackstart/config.yaml"), "swap: allow\nprobe: {deadline: 60s}\n");
    const before = snapshot(node.root);
    const { child, end } = start(node, ["restore"]);
    await new Promise<void>((resolve) => {
      child.stderr.on("data", (bytes) => {
        if (String(bytes).includes("2/5")) {
          setTimeout(resolve, 200);
        }
      });
    });
    child.kill("SIGTERM");
    assert.equal((await end).signal, "SIGTERM");
    assert.deepEqual(snapshot(node.root), before);
  },
);

inMemory(
  "of many restores at once each ends well or E_LOCKED, and no half pod is ever seen",
  async (node) => {
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => start(node, ["restore", "--force"]).end),
    );
    for (const result of runs) {
      if (result.status === 0) {
        assertWellSaid(result);
      } else {
        assertFails(result, "E_LOCKED", 75);
      }
    }
    assert.ok(runs.some(({ status }) => status === 0));
    assert.deepEqual(shown(node), [podLink]);
    assert.deepEqual(attempts(node), ["2+2-1"]);
    assert.match(restore(node, "--force").stderr, /nothing changed/);
  },
);

/** Starts a run that goes on beside the test. */
function start(node: NodeRoot, words: readonly string[]) {
  const child = spawn(blackstart, [...words, "--root", node.root], { env: cleanEnvironment() });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (bytes) => {
    stdout += bytes;
  });
  child.stderr.on("data", (bytes) => {
    stderr += bytes;
  });
  const end = new Promise<Run>((resolve) => {
    child.on("close", (status, signal) => {
      resolve({ status, signal, stdout, stderr, pid: child.pid ?? 0, output: [] });
    });
  });
  return { child, end };
}

inMemory(
  "a manifest directory that only the kubelet's flags named is known from the checkpoint",
  (node) => {
    const file = node.at("in/checkpoint.json");
    writeFileSync(file, JSON.stringify(captured({ staticPodPath: "/var/lib/flag" })));
    mkdirSync(node.at("var/lib/flag"), { mode: 0o755 });
    succeed(["restore", "--force", "--from", file, "--root", node.root]);
    assert.deepEqual(readdirSync(node.at("var/lib/flag")), [podLink]);
    assert.deepEqual(shown(node), []);

    cutPower(node);
    const settings = "staticPodPath: /etc/kubernetes/manifests\n";
    writeFileSync(node.at("etc/blackstart/config.yaml"), `swap: allow\n${settings}`);
    succeed(["restore", "--force", "--from", file, "--root", node.root]);
    assert.deepEqual(shown(node), [podLink], "the configuration wins");
  },
);

test("an empty store is told before a missing key: a first boot is no failure", () => {
  using node = bareNode();
  const result = restore(node, "--force");
  assert.equal(result.status, 66, describe(result));
  assert.match(result.stderr, /^blackstart: E_NO_STORE: /m);
});

test.run();
