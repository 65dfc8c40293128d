import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { suite } from "uvu";
import { parseRestoreArguments } from "../../src/cli/restore-options.ts";
import { parseConfig } from "../../src/config-file.ts";
import { Failure } from "../../src/errors.ts";
import { plainStaticPodPath } from "../../src/host/kubelet.ts";
import { parseListeners } from "../../src/host/listeners.ts";
import { parseRoutes } from "../../src/host/network.ts";
import { readAnswer } from "../../src/kube/http-answer.ts";
import { parseKubeconfig } from "../../src/kube/kubeconfig.ts";
import { type Checkpoint, parseCheckpoint } from "../../src/model/checkpoint.ts";
import { encodeJson, parseJson } from "../../src/model/json.ts";
import type { RestorePlan } from "../../src/model/plan.ts";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { checkNoReferences } from "../../src/plan/references.ts";
import { planRestore } from "../../src/plan/restore.ts";
import { openEnvelope } from "../../src/store/envelope.ts";
import { encodeHeader } from "../../src/store/header.ts";
import { damage } from "../capture/damage.ts";
import { type Random, random as seeded } from "../oracle/random.ts";
import { facts, forge } from "../store/forge.ts";
import { golden, goldenRing } from "../store/golden.ts";

/*
 * Damaged input by the thousand. Only a `Failure` may come of it, or something whole; memory stays bounded.
 * FUZZ_SEED and FUZZ_COUNT (inputs of the smallest target) change the run.
 */
const fuzz = suite("fuzz");

const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_125);
const count = Number(process.env["FUZZ_COUNT"] ?? 10_000);
const mostBytes = 400 * 1024 * 1024;
let inputs = 0;

/** Runs one input; gives the failure's code, or what `check` says. */
function attempt(name: string, at: number, check: () => string): string {
  inputs += 1;
  const startedMs = performance.now();
  try {
    return check();
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw new Error(`${name}, seed ${seed}, input ${at}: ${String(error)}`, { cause: error });
    }
    assert.ok(!/[\r\n]/.test(error.message), `${name}, seed ${seed}, input ${at}: several lines`);
    assert.ok(
      error.message.length < 20_000,
      `${name}, seed ${seed}, input ${at}: ${error.message.length} characters`,
    );
    return error.code;
  } finally {
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 10_000, `${name}, seed ${seed}, input ${at}: ${tookMs.toFixed(0)} ms`);
  }
}

/** Fuzzes one target and prints what came of it; a target on which nothing ever differs tests nothing. */
function target(
  name: string,
  rounds: number,
  expected: readonly string[],
  one: (random: Random, at: number) => string,
): void {
  fuzz(`${name}: ${rounds} inputs`, () => {
    const random = seeded(seed);
    const outcomes = new Map<string, number>();
    for (let at = 0; at < rounds; at += 1) {
      const outcome = attempt(name, at, () => one(random, at));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    console.log(
      `fuzz ${name}: seed ${seed}, ${rounds} inputs, ${JSON.stringify(Object.fromEntries([...outcomes].sort()))}`,
    );
    for (const outcome of expected) {
      assert.ok(outcomes.has(outcome), `${name}: no input gave ${outcome}`);
    }
    assert.ok(
      process.memoryUsage.rss() < mostBytes,
      `${process.memoryUsage.rss()} bytes of memory`,
    );
  });
}

/** Damages bytes: flips, cuts, repetitions, pieces of another text. */
function damageBytes(bytes: Buffer, other: Buffer, random: Random): Buffer {
  let damaged = Buffer.from(bytes);
  for (let times = 1 + random.int(4); times > 0 && damaged.length > 0; times -= 1) {
    const at = random.int(damaged.length);
    const length = random.int(40);
    switch (random.int(6)) {
      case 0:
        damaged[at] = random.int(256);
        break;
      case 1:
        damaged = damaged.subarray(0, at);
        break;
      case 2:
        damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + length)]);
        break;
      case 3:
        damaged = Buffer.concat([damaged.subarray(0, at + length), damaged.subarray(at)]);
        break;
      case 4: {
        const from = random.int(other.length);
        damaged = Buffer.concat([
          damaged.subarray(0, at),
          other.subarray(from, from + length),
          damaged.subarray(at),
        ]);
        break;
      }
      default:
        damaged = Buffer.concat([
          damaged.subarray(0, at),
          Buffer.from(random.pick(words)),
          damaged.subarray(at),
        ]);
    }
  }
  return damaged;
}

const words = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "null",
  "1e999",
  "-0",
  "\\u0000",
  "=",
  "-",
  "_",
  "__proto__",
  "\r\n",
  "\ufeff",
  "é",
  "\0",
  " ",
  "protected",
  "recipients",
  "ciphertext",
] as const;

const files = [golden("v1-alone.jwe"), golden("v1-break-glass.jwe")] as const;
const document = golden("v1-document.json");
target("envelope", 6 * count, ["E_MAC", "E_HEADER_JSON", "E_TRUNCATED"], (random) => {
  const file = random.pick(files);
  const damaged = damageBytes(file, random.pick(files), random);
  const { plaintext } = openEnvelope(damaged, goldenRing);
  // White space at places that no tag covers may differ; what comes out may not.
  assert.ok(document.equals(plaintext), "an envelope opened to something else");
  return "opened";
});

const forger = StoreKey.generate();
target("header behind the right key", count, ["opened", "E_HEADER_JSON"], (random) => {
  const header = parseJson(encodeJson(encodeHeader({ ...facts, kid: forger.kid })));
  damage(header, random);
  const forged = forge(forger, { header: encodeJson(header) });
  openEnvelope(forged, ringOf(forger));
  return "opened";
});

const kinds = ["pods", "secrets", "configmaps", "services", "nodes"];
const lists: readonly (readonly unknown[])[] = kinds.map(
  (file) =>
    JSON.parse(
      readFileSync(new URL(`../fixtures/setA/objects/${file}.json`, import.meta.url), "utf8"),
    ).items,
);
const marker = "MARKERc0ffee";

function checkpointOf(random: Random): unknown {
  const [pods = [], secrets = [], ...others] = lists;
  const marked = secrets.map((secret) => {
    const copy = structuredClone(secret) as { data?: Record<string, string> };
    for (const key of Object.keys(copy.data ?? {})) {
      (copy.data ?? {})[key] = Buffer.from(`${marker}-${key}`).toString("base64");
    }
    return copy;
  });
  const chosen = random.some(pods, 2, 1).map((pod) => {
    const copy = structuredClone(pod) as {
      metadata: { managedFields?: unknown };
      status?: unknown;
    };
    delete copy.metadata.managedFields; // most of a pod's fields, and nobody looks at them
    return copy;
  });
  for (let times = 1 + random.int(3); times > 0; times -= 1) {
    damage(random.chance(0.8) ? chosen[0] : random.some(marked, 1, 1)[0], random);
  }
  const items = [...chosen, ...marked, ...others.flat()];
  return {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "node1", capturedAt: "2026-11-22T08:25:00Z", source: "files" },
    pods: chosen.map(({ metadata }) => metadata),
    unprojectable: [],
    tokens: [],
    items,
  };
}

target(
  "objects and their plan",
  2 * count,
  ["planned", "E_OBJECT", "E_NAME", "E_REF_MISSING"],
  (random) => {
    const checkpoint: Checkpoint = parseCheckpoint(parseJson(encodeJson(checkpointOf(random))));
    const plan = planRestore(checkpoint, {
      generation: 1,
      secretEnv: "inline",
      kubeletVersion: random.chance(0.5) ? "v1.37.2" : undefined,
      now: new Date("2026-11-22T09:00:00Z"),
    });
    checkPlan(plan);
    return plan.skipped[0]?.code ?? "planned";
  },
);

/** What holds for every plan, whatever it was made from. */
function checkPlan({ pods, skipped, warnings }: RestorePlan): void {
  for (const { message } of [...skipped, ...warnings]) {
    assert.ok(!message.includes(marker), "a secret value is told");
  }
  for (const { manifest, volumes } of pods) {
    const value = JSON.parse(manifest.text);
    checkNoReferences(value, "pod");
    assert.equal(value.metadata.resourceVersion, manifest.carriesSecret ? "1" : undefined);
    assert.equal(manifest.text.includes(marker), manifest.carriesSecret);
    for (const { dir, entries } of volumes) {
      assert.ok(dir.startsWith("/run/blackstart/pods/") && posix.normalize(dir) === dir);
      const seen = new Set<string>();
      for (const { path, kind } of entries) {
        assert.ok(
          path === "." ||
            (posix.normalize(path) === path && !posix.isAbsolute(path) && !path.startsWith("../")),
          path,
        );
        assert.ok(!seen.has(path), `${path} twice`);
        assert.ok(
          path === "." || seen.has(posix.dirname(path)),
          `${kind} ${path} before its directory`,
        );
        seen.add(path);
      }
    }
  }
}

const config = Buffer.from(`select: {namespaces: [kube-system], labelSelector: "tier=control-plane"}
kubeconfig: auto
staticPodPath: /etc/kubernetes/manifests
recipients: [/etc/blackstart/a.jwk]
probe: {deadline: 5s, network: 30s, endpoints: ["https://10.0.0.1:6443"]}
retention: {generations: 3}
settle: 10m
secretEnv: inline
swap: refuse
images: {pin: true, pullRecords: set-aside, archive: off}
`);
target("configuration", 2 * count, ["read", "E_CONFIG"], (random) => {
  const read = parseConfig(damageBytes(config, config, random).toString("utf8"), "config.yaml");
  assert.ok(Object.isFrozen(read) && read.retention.generations >= 1 && read.probe.deadlineMs > 0);
  return "read";
});

const kubeconfig = {
  apiVersion: "v1",
  kind: "Config",
  "current-context": "c",
  clusters: [
    {
      name: "k",
      cluster: {
        server: "https://10.0.0.1:6443",
        "certificate-authority-data": "QQ==",
        "tls-server-name": "x",
      },
    },
  ],
  contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
  users: [
    { name: "u", user: { "client-certificate": "a.pem", "client-key": "/b.pem", token: "t" } },
  ],
};
target("kubeconfig", count, ["read", "E_KUBECONFIG"], (random) => {
  const copy = parseJson(encodeJson(kubeconfig));
  damage(copy, random);
  parseKubeconfig(copy, "/etc/kubernetes/kubelet.conf");
  return "read";
});

const answer = Buffer.from(
  "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 40\r\n\r\n[+]ping ok\n[-]etcd failed: reason withheld\n",
);
target("HTTP answers", count, ["answered", "undecided"], (random) => {
  const found = readAnswer(damageBytes(answer, answer, random), random.chance(0.5));
  return found?.kind ?? "undecided";
});

const tables = Buffer.from(
  " sl local_address\n   0: 0100007F:192B 00000000:0000 0A 0\neth0 00000000 0100000A 0003 0 0 0 00000000\n",
);
target("kernel tables and the kubelet's settings", count, ["read"], (random) => {
  const text = damageBytes(tables, Buffer.from("staticPodPath: /etc/x\n---\n"), random).toString(
    "latin1",
  );
  parseListeners(text);
  parseRoutes(text, text).reaches("10.0.0.1");
  plainStaticPodPath(text);
  return "read";
});

const flags = [
  "--force",
  "--root",
  "/x",
  "--generation",
  "7",
  "--from",
  "f",
  "-o",
  "json",
  "-v",
  "--dry-run",
  "--",
  "-",
  "--no-force",
  "--generation=0",
  "x",
  "",
] as const;
target("words after restore", count, ["plain", "not plain"], (random) => {
  const options = parseRestoreArguments(
    Array.from({ length: random.int(5) }, () => random.pick(flags)),
  );
  return options === undefined ? "not plain" : "plain";
});

fuzz("there were at least 100,000 inputs", () => {
  assert.ok(inputs >= 10 * count, `${inputs} inputs`);
  console.log(`fuzz: ${inputs} inputs in all`);
});

fuzz.run();
