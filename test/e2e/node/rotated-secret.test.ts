import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { demand, type Json } from "../api.ts";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";
import { readerPod, volumes } from "./reader-pod.ts";
import { cutPower, handAllBack, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";
import { configureHaste, newestGeneration, watchCaptures } from "./watching.ts";

const rotated = suite("e2e/node/rotated-secret");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED a rotated Secret on a real node: ${lacking}`);
}
const scenario = lacking === undefined ? rotated : rotated.skip;

/** No value is part of another or of anything else. */
const value = (name: string) => `${name}-${randomBytes(9).toString("hex")}`;
const before = { password: value("old"), stale: value("stale") };
const after = { password: value("new") };
const settingsBefore = { mode: value("mode"), gone: value("gone") };
const settingsAfter = { mode: value("mode") };
const outdated = [
  before.password,
  before.stale,
  ...[before.password, before.stale].map((text) => Buffer.from(text).toString("base64")),
  ...Object.values(settingsBefore),
];

scenario("a key that was rotated away before the power cut is in no restored pod", async () => {
  const steps = startSteps("rotated-secret");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  configureHaste(node, "10m");
  await switchOn(steps, node);
  const first = await recover(steps, node, cluster);
  const bySecret = (data: Readonly<Record<string, string>>) =>
    put(cluster, "secrets", { kind: "Secret", stringData: data, metadata: { name: "rotating" } });
  const bySettings = (data: Readonly<Record<string, string>>) =>
    put(cluster, "configmaps", { kind: "ConfigMap", data, metadata: { name: "settings" } });
  await step("create a pod, its Secret and its ConfigMap", async () => {
    await bySecret(before);
    await bySettings(settingsBefore);
    await demand(cluster.api, "POST", `${namespace}/pods`, readerPod(node.name));
  });
  await handAllBack(steps, node, cluster, first.copies);

  const seen = newestGeneration(node);
  const watching = await watchCaptures(node);
  const old = await step("capture --watch captures the pod", () => watching.newerThan(seen));
  await step("rotate the Secret, without one of its keys", () => bySecret(after));
  const between = await step("it is captured", () => watching.newerThan(old));
  await step("rotate the ConfigMap, without one of its keys", () => bySettings(settingsAfter));
  const newest = await step("it is captured", () => watching.newerThan(between));
  await cutPower(steps, node, cluster);

  // While the node is off nobody can rotate anything for it: the generation holds what the apiserver held at the
  // last capture, not what the pod's containers were started with (their environment still had the old values), nor
  // what another machine's cluster may have made of the Secret meanwhile.
  await switchOn(steps, node);
  const said = await step("restore", () => succeed(node, "restore"));
  assert.match(said, new RegExp(`restore 2/5 open: generation ${newest},`));
  assert.deepEqual(outdatedIn(node), []);
  // A person who tries an older generation, and goes back: what it brought must go.
  await step(`restore --force --generation ${old}`, () =>
    succeed(node, "restore", "--force", "--generation", `${old}`),
  );
  const found = outdatedIn(node);
  assert.ok(
    found.some((line) => line.endsWith(`/secret/..data/stale: ${before.stale}`)),
    `${found}`,
  );
  assert.ok(
    found.some((line) => line.includes("/run/blackstart/manifests/")),
    `${found}`,
  );
  const again = ["restore", "--force", "--generation", `${newest}`];
  await recover(steps, node, cluster, again);
  assert.deepEqual(outdatedIn(node), []);
  assert.deepEqual(await seenBy(node), wanted(after, settingsAfter));

  // The same under a kubelet that runs: it starts each pod anew, for its manifest is another.
  await step(`restore --force --generation ${old}, under the kubelet`, () =>
    succeed(node, "restore", "--force", "--generation", `${old}`),
  );
  await step("the pod has the old values", () => sees(node, wanted(before, settingsBefore)));
  await step(`and back to ${newest}`, () => succeed(node, ...again));
  await step("the pod has the new values", () => sees(node, wanted(after, settingsAfter)));
  assert.deepEqual(outdatedIn(node), []);
  // Not all copies: while one starts anew its parent may have taken its port, and the control plane is that one then.
  await step("/readyz", () => cluster.waitUntilReady());
  assert.deepEqual(await seenBy(node), wanted(after, settingsAfter));
});

const namespace = "/api/v1/namespaces/default";

/** What of our own memory on the node still says what was rotated away: `FILE: VALUE`. */
function outdatedIn(node: Node): readonly string[] {
  const top = node.path("/run/blackstart");
  return readdirSync(top, { recursive: true, encoding: "utf8" }).flatMap((name) => {
    const file = join(top, name);
    if (!existsSync(file) || !statSync(file).isFile()) {
      return [];
    }
    const text = readFileSync(file, "utf8");
    const values = outdated.filter((value) => text.includes(value));
    return values.map((value) => `/run/blackstart/${name}: ${value}`);
  });
}

/** What a container of the pod sees: its environment as far as it is ours, and each volume's files. */
interface Seen {
  readonly env: Readonly<Record<string, string>>;
  readonly volumes: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Of the copy's one running container; not yet, as an exception, while there is none, or are two. */
async function seenBy(node: Node): Promise<Seen> {
  const [container, ...others] = node
    .containers()
    .filter(({ namespace, pod }) => namespace === "default" && pod === `reader-${node.name}`);
  if (container === undefined || others.length > 0) {
    throw new Error(`${others.length + (container === undefined ? 0 : 1)} containers`);
  }
  const process = node.path(`/proc/${container.pid}`);
  const entries = readFileSync(join(process, "environ"), "utf8")
    .split("\0")
    .filter((entry) => /^(PASSWORD|MODE|STALE|S_|C_)/.test(entry))
    .map((entry): [string, string] => [
      entry.slice(0, entry.indexOf("=")),
      entry.slice(entry.indexOf("=") + 1),
    ]);
  const filesOf = (volume: string) => {
    const dir = join(process, "root/volumes", volume);
    const names = readdirSync(dir).filter((name) => !name.startsWith(".."));
    // Not a folder of an earlier content is left.
    assert.equal(readdirSync(dir).length - names.length, 2, readdirSync(dir).join(" "));
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(dir, name), "utf8")]));
  };
  return {
    env: Object.fromEntries(entries),
    volumes: Object.fromEntries(volumes.map((volume) => [volume, filesOf(volume)])),
  };
}

async function sees(node: Node, expected: Seen): Promise<void> {
  await eventually("the pod sees what it should", 120_000, async () => {
    assert.deepEqual(await seenBy(node), expected);
    return true;
  });
}

type Texts = Readonly<Record<string, string>>;

/** As a kubelet would show it. */
function wanted(secret: Texts, settings: Texts): Seen {
  const prefixed = (prefix: string, texts: Texts) =>
    Object.fromEntries(Object.entries(texts).map(([key, text]) => [prefix + key, text]));
  const stale = secret["stale"];
  return {
    env: {
      PASSWORD: secret["password"] ?? "",
      MODE: settings["mode"] ?? "",
      ...(stale === undefined ? {} : { STALE: stale }),
      ...prefixed("S_", secret),
      ...prefixed("C_", settings),
    },
    volumes: {
      secret,
      settings,
      both: { ...secret, ...settings },
      items: stale === undefined ? {} : { "was-stale": stale },
    },
  };
}

/** Creates the object, or replaces it whole: keys that it no longer has are gone. */
async function put(
  cluster: Cluster,
  resource: string,
  object: Json & { readonly metadata: { readonly name: string } },
): Promise<void> {
  const whole = { apiVersion: "v1", ...object };
  const path = `${namespace}/${resource}`;
  const { status } = await demand(cluster.api, "POST", path, whole, [409]);
  if (status === 409) {
    await demand(cluster.api, "PUT", `${path}/${object.metadata.name}`, whole);
  }
}

rotated.run();
