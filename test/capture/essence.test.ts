import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { suite } from "uvu";
import { essenceOf } from "../../src/capture/essence.ts";
import { isPod } from "../../src/capture/select.ts";
import { tokensWanted } from "../../src/capture/tokens.ts";
import { Failure } from "../../src/errors.ts";
import { checkpointedServers } from "../../src/kube/checkpointed-servers.ts";
import { type Checkpoint, parseCheckpoint } from "../../src/model/checkpoint.ts";
import { encodeJson, parseJson } from "../../src/model/json.ts";
import { planRestore } from "../../src/plan/restore.ts";
import { type Random, random } from "../oracle/random.ts";

const essence = suite("capture/essence");

type Fields = Record<string, unknown>;
type Item = Fields & { kind: string; metadata: Fields & { name: string }; status?: unknown };
type Document = Fields & { metadata: Fields; items: Item[]; tokens: Fields[]; unminted: Fields[] };

const folder = new URL("../fixtures/setA/objects/", import.meta.url);
/** What a checkpoint may hold of the recorded cluster, which has no volume that a claim is bound to. */
const recorded = readdirSync(folder)
  .filter((name) => !/^(daemonsets|deployments|jobs|namespaces|.*classes)/.test(name))
  .map((name) => readFileSync(new URL(name, folder), "utf8"))
  .flatMap((text): Item[] => JSON.parse(text).items);
const claims: readonly Item[] = [
  {
    kind: "PersistentVolumeClaim",
    metadata: { name: "claim", namespace: "kube-system" },
    spec: { volumeName: "volume" },
    status: { phase: "Bound" },
  },
  {
    kind: "PersistentVolume",
    metadata: { name: "volume", annotations: { "pv.beta.kubernetes.io/gid": "5" } },
    spec: { hostPath: { path: "/srv" } },
    status: { phase: "Bound" },
  },
];

/** The recorded cluster, with tokens, and on a cloud's node: there addresses of the status are read. */
function makeDocument(): Document {
  const items = structuredClone([...recorded, ...claims]);
  for (const item of items) {
    if (item.kind === "Node") {
      item["spec"] = { providerID: "cloud:///1", podCIDR: "10.244.0.0/24" };
    }
  }
  const document = {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "node1", capturedAt: "2026-11-22T08:25:00Z", source: "apiserver" },
    pods: items.filter(({ kind }) => kind === "Pod").map(({ metadata }) => metadata),
    unprojectable: [{ namespace: "a", name: "b", code: "E_UNSUPPORTED_VOLUME", message: "csi" }],
    tokens: [],
    items,
  };
  const wanted = tokensWanted(parseCheckpoint(document).items.filter(isPod));
  return {
    ...document,
    pods: document.pods.map(({ namespace, name }) => ({ namespace, name })),
    tokens: wanted.slice(2).map(({ namespace, pod, audience }) => {
      const expiresAt = "2027-01-01T00:00:00Z";
      return { namespace, pod, audience, token: `token of ${pod}`, expiresAt };
    }),
    unminted: wanted.slice(0, 2).map(({ namespace, pod, audience }) => {
      return { namespace, pod, audience, message: "not allowed" };
    }),
  };
}

const text = (document: Document | Checkpoint, tokens = true) =>
  Buffer.from(essenceOf(parseCheckpoint(document), { tokens })).toString("utf8");

/** All that a restore does with a checkpoint: what it asks before, and what it plans. */
function restoreOf(document: Document) {
  const checkpoint = parseCheckpoint(document);
  const plan = planRestore(checkpoint, {
    generation: 7,
    secretEnv: "inline",
    kubeletVersion: undefined,
    now: new Date("2026-11-22T09:00:00Z"),
  });
  return { plan, servers: checkpointedServers(checkpoint.items) };
}

const base = makeDocument();
const baseText = { true: text(base, true), false: text(base, false) };
const baseRestore = restoreOf(base);
const bareRestore = restoreOf({ ...base, tokens: [], unminted: [] });

essence("everything of the recorded cluster is planned, with and without tokens", () => {
  assert.deepEqual(baseRestore.plan.skipped, []);
  const codes = baseRestore.plan.warnings.map(({ code }) => code);
  assert.equal(codes.filter((code) => code === "W_TOKEN_MISSING").length, 2);
  assert.ok(base.tokens.length > 10);
});

/** A place in a document: the object or list, and the key or index in it. */
interface Place {
  readonly holder: Fields;
  readonly key: string;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function placeIn(root: Fields, { int, chance }: Random): Place {
  let holder = root;
  for (;;) {
    const keys = Object.keys(holder);
    const key = keys[int(keys.length)] ?? "new";
    const next = holder[key];
    if (!isFields(next) || Object.keys(next).length === 0 || chance(0.1)) {
      return { holder, key };
    }
    holder = next;
  }
}

function mutate(root: Fields, choice: Random): void {
  const { holder, key } = placeIn(root, choice);
  const value = holder[key];
  switch (choice.int(5)) {
    case 0:
      if (Array.isArray(holder)) {
        holder.splice(Number(key), 1);
      } else {
        Reflect.deleteProperty(holder, key);
      }
      return;
    case 1:
      if (!Array.isArray(holder)) {
        holder["unheardOf"] = { a: [choice.int(9)] };
      }
      return;
    case 2:
      holder[key] = null;
      return;
    default:
      holder[key] = changed(value, choice);
  }
}

function changed(value: unknown, { int }: Random): unknown {
  switch (typeof value) {
    case "string":
      return /^\d{4}-\d\d-\d\dT/.test(value)
        ? new Date(Date.parse(value) + (int(3_600) - 1_800) * 1_000)
            .toISOString()
            .replace(".000", "")
        : `${value}x`;
    case "number":
      return value + 1 + int(3);
    case "boolean":
      return !value;
    default:
      return Array.isArray(value) ? value.toReversed() : "x";
  }
}

/** A copy with one mutation; in status and metadata more often, since there most is left out. */
function mutated(document: Document, choice: Random): Document {
  const { pick, int, chance } = choice;
  const items = [...document.items];
  const { metadata, tokens, unminted } = structuredClone({ ...document, items: [] });
  const copy = { ...document, items, metadata, tokens, unminted };
  if (chance(0.2)) {
    mutate(pick<Fields>([{ metadata }, { tokens }, { unminted }]), choice);
    return copy;
  }
  const part = pick(["status", "status", "metadata", "all"] as const);
  const having = items.filter((item) => part === "all" || isFields(item[part]));
  const original = having[int(having.length)];
  assert.ok(original);
  const chosen = structuredClone(original);
  items[items.indexOf(original)] = chosen;
  const within = part === "all" ? chosen : chosen[part];
  mutate(isFields(within) ? within : chosen, choice);
  return copy;
}

essence("whatever is changed at random: where the essence is the same, so is the restore", () => {
  // A difference is told by its seed: to describe it would take longer than the test.
  const seen = { same: 0, sameWithoutTokens: 0, different: 0, refused: 0 };
  for (let seed = 1; seed <= 900; seed += 1) {
    const document = mutated(base, random(seed));
    if (isDeepStrictEqual(document, base)) {
      continue;
    }
    try {
      parseCheckpoint(document);
    } catch (error) {
      assert.ok(error instanceof Failure);
      seen.refused += 1;
      continue;
    }
    // It names directories only, and each capture has its own.
    document.metadata["capturedAt"] = base.metadata["capturedAt"];
    if (text(document) === baseText.true) {
      seen.same += 1;
      assert.ok(isDeepStrictEqual(restoreOf(document), baseRestore), `seed ${seed}`);
    } else {
      seen.different += 1;
    }
    if (text(document, false) === baseText.false) {
      seen.sameWithoutTokens += 1;
      const bare = restoreOf({ ...document, tokens: [], unminted: [] });
      assert.ok(isDeepStrictEqual(bare, bareRestore), `seed ${seed}`);
    }
  }
  assert.ok(seen.same > 200 && seen.different > 200, JSON.stringify(seen));
  assert.ok(seen.sameWithoutTokens > seen.same + 30, JSON.stringify(seen));
});

function item(document: Document, kind: string, name: string): Item {
  const found = document.items.find(
    (one) => one.kind === kind && one.metadata.name.startsWith(name),
  );
  assert.ok(found, `${kind} ${name}`);
  return found;
}

/** Sets a field; a path ends in its new value, which undefined takes away. */
function set(root: unknown, ...path: readonly unknown[]): void {
  const value = path.at(-1);
  const keys = path.slice(0, -1).map(String);
  let holder = root;
  for (const key of keys.slice(0, -1)) {
    assert.ok(isFields(holder));
    holder[key] ??= {};
    holder = holder[key];
  }
  assert.ok(isFields(holder));
  const last = keys.at(-1) ?? "";
  if (value === undefined) {
    Reflect.deleteProperty(holder, last);
  } else {
    holder[last] = value;
  }
}

function each(document: Document, change: (item: Item) => void): void {
  for (const one of document.items) {
    change(one);
  }
}

type Change = readonly [string, (document: Document) => void];
const later = "2030-01-01T00:00:00Z";
const etcd = (document: Document) => item(document, "Pod", "etcd-6");
const proxy = (document: Document) => item(document, "Pod", "kube-proxy");
const node = (document: Document) => item(document, "Node", "node1");
const first = ["status", "containerStatuses", 0] as const;

const heartbeats: readonly Change[] = [
  ["the time of the capture", (all) => set(all.metadata, "capturedAt", later)],
  ["resource versions", (all) => each(all, (one) => set(one, "metadata", "resourceVersion", "9"))],
  ["managed fields", (all) => each(all, (one) => set(one, "metadata", "managedFields", []))],
  ["generations of objects", (all) => each(all, (one) => set(one, "metadata", "generation", 99))],
  [
    "a pod's conditions",
    (all) => set(etcd(all), "status", "conditions", [{ type: "Ready", status: "False" }]),
  ],
  ["a pod's phase", (all) => set(etcd(all), "status", "phase", "Unknown")],
  ["a pod's own address", (all) => set(etcd(all), "status", "podIP", "10.0.0.9")],
  ["a pod's own addresses", (all) => set(etcd(all), "status", "podIPs", [{ ip: "10.0.0.9" }])],
  ["a pod's start", (all) => set(etcd(all), "status", "startTime", later)],
  [
    "a field of a pod's status that nobody knows",
    (all) => set(etcd(all), "status", "unheardOf", 1),
  ],
  ["a container's restarts", (all) => set(proxy(all), ...first, "restartCount", 9)],
  ["a container's last state", (all) => set(proxy(all), ...first, "lastState", { terminated: {} })],
  ["a container's readiness", (all) => set(proxy(all), ...first, "ready", false)],
  ["a container's id", (all) => set(proxy(all), ...first, "containerID", "containerd://9")],
  ["a name of the image that ran", (all) => set(proxy(all), ...first, "image", "other:1")],
  [
    "a restart after the Services were made",
    (all) => set(proxy(all), ...first, "state", { running: { startedAt: later } }),
  ],
  [
    "a container that waits for its next start",
    (all) => set(proxy(all), ...first, "state", { waiting: { reason: "CrashLoopBackOff" } }),
  ],
  [
    "a container that ended",
    (all) => set(proxy(all), ...first, "state", { terminated: { startedAt: later } }),
  ],
  ["a Node's conditions", (all) => set(node(all), "status", "conditions", [])],
  ["a Node's images", (all) => set(node(all), "status", "images", [])],
  ["a Node's mounts", (all) => set(node(all), "status", "volumesInUse", ["a"])],
  ["a Node's capacity", (all) => set(node(all), "status", "capacity", "cpu", "99")],
  ["a Node's boot", (all) => set(node(all), "status", "nodeInfo", "bootID", "b")],
  ["a Node's kernel", (all) => set(node(all), "status", "nodeInfo", "kernelVersion", "7.0")],
  [
    "a Node's taints",
    (all) => set(node(all), "spec", "taints", [{ key: "a", effect: "NoSchedule" }]),
  ],
  ["a cordon", (all) => set(node(all), "spec", "unschedulable", true)],
  ["a Node's labels", (all) => set(node(all), "metadata", "labels", "a", "b")],
  ["a Node's annotations", (all) => set(node(all), "metadata", "annotations", "a", "b")],
  [
    "a Service's load balancer",
    (all) => set(item(all, "Service", "kube-dns"), "status", "loadBalancer", { ingress: [] }),
  ],
  [
    "a claim's status",
    (all) => set(item(all, "PersistentVolumeClaim", ""), "status", "phase", "Lost"),
  ],
  [
    "a volume's status",
    (all) => set(item(all, "PersistentVolume", ""), "status", "phase", "Failed"),
  ],
];

const changes: readonly Change[] = [
  ["a Secret's value", (all) => set(item(all, "Secret", "etcd-tls"), "data", "ca.crt", "AA==")],
  ["a Secret's key", (all) => set(item(all, "Secret", "etcd-tls"), "data", "new", "AA==")],
  ["a Secret's text", (all) => set(item(all, "Secret", "etcd-tls"), "stringData", "new", "a")],
  ["a Secret's type", (all) => set(item(all, "Secret", "etcd-tls"), "type", "other")],
  [
    "a Secret that can be changed no more",
    (all) => set(item(all, "Secret", "etcd-tls"), "immutable", true),
  ],
  [
    "a Secret's field that nobody knows",
    (all) => set(item(all, "Secret", "etcd-tls"), "unheardOf", 1),
  ],
  ["a ConfigMap's value", (all) => set(item(all, "ConfigMap", "coredns"), "data", "Corefile", "x")],
  [
    "a ConfigMap's bytes",
    (all) => set(item(all, "ConfigMap", "coredns"), "binaryData", "b", "AA=="),
  ],
  ["an object that is gone", (all) => void all.items.splice(0, 1)],
  ["a pod's label", (all) => set(etcd(all), "metadata", "labels", "new", "a")],
  ["a pod's annotation", (all) => set(etcd(all), "metadata", "annotations", "new", "a")],
  [
    "a pod's uid",
    (all) => set(etcd(all), "metadata", "uid", "0d82ee9d-52ab-4d25-8856-d042918bc46b"),
  ],
  ["a pod's owner", (all) => set(etcd(all), "metadata", "ownerReferences", [])],
  ["a pod's metadata that nobody knows", (all) => set(etcd(all), "metadata", "unheardOf", 1)],
  ["a pod's spec", (all) => set(etcd(all), "spec", "containers", 0, "image", "other:1")],
  ["a pod's spec that nobody knows", (all) => set(etcd(all), "spec", "unheardOf", 1)],
  [
    "a container's field that nobody knows",
    (all) => set(etcd(all), "spec", "containers", 0, "unheardOf", { a: 1 }),
  ],
  ["a pod's node address", (all) => set(etcd(all), "status", "hostIP", "10.0.0.9")],
  ["a pod's node addresses", (all) => set(etcd(all), "status", "hostIPs", [{ ip: "10.0.0.9" }])],
  ["the image that ran", (all) => set(proxy(all), ...first, "imageID", "sha256:0")],
  [
    "what the runtime knows of an image",
    (all) => {
      const place = { namespace: "kube-system", pod: "etcd-6", place: "containers/etcd" };
      set(all, "images", [{ ...place, name: "etcd:1", id: "sha256:0" }]);
    },
  ],
  [
    "a restart that lets a container see a Service",
    (all) => set(etcd(all), ...first, "state", { running: { startedAt: later } }),
  ],
  [
    "a waiting container that will see a Service",
    (all) => set(etcd(all), ...first, "state", { waiting: {} }),
  ],
  [
    "the image that an init container ran",
    (all) =>
      set(etcd(all), "status", "initContainerStatuses", [{ name: "i", imageID: "sha256:0" }]),
  ],
  ["a Node's amounts", (all) => set(node(all), "status", "allocatable", "cpu", "99")],
  ["a Node's addresses", (all) => set(node(all), "status", "addresses", [])],
  [
    "the kubelet's version",
    (all) => set(node(all), "status", "nodeInfo", "kubeletVersion", "v1.38.0"),
  ],
  ["the cloud's name of the Node", (all) => set(node(all), "spec", "providerID", "other")],
  ["a Node's spec that nobody knows", (all) => set(node(all), "spec", "unheardOf", 1)],
  [
    "a Service's address",
    (all) => set(item(all, "Service", "kube-dns"), "spec", "clusterIP", "10.96.0.9"),
  ],
  ["the apiserver's endpoints", (all) => set(item(all, "Endpoints", "kubernetes"), "subsets", [])],
  [
    "a claim's volume",
    (all) => set(item(all, "PersistentVolumeClaim", ""), "spec", "volumeName", "x"),
  ],
  [
    "a volume's group",
    (all) =>
      set(
        item(all, "PersistentVolume", ""),
        "metadata",
        "annotations",
        "pv.beta.kubernetes.io/gid",
        "7",
      ),
  ],
  ["the order of objects", (all) => void all.items.reverse()],
  ["which pods are captured", (all) => set(all, "pods", [])],
  ["which pods cannot be projected", (all) => set(all, "unprojectable", [])],
  ["the node's name", (all) => set(all.metadata, "node", "node2")],
  ["where the objects came from", (all) => set(all.metadata, "source", "files")],
  ["the kubelet's facts", (all) => set(all.metadata, "kubelet", { nodeIP: "10.0.0.9" })],
  ["a part of the document that nobody knows", (all) => set(all, "unheardOf", 1)],
];

/** Changes of tokens and nothing else. */
const tokenChanges: readonly Change[] = [
  ["a token", (all) => set(all.tokens, 0, "token", "another")],
  ["a token's audience", (all) => set(all.tokens, 0, "audience", "vault")],
  ["a token that is gone", (all) => void all.tokens.splice(0, 1)],
  ["a token that could be minted after all", (all) => void all.unminted.splice(0, 1)],
  ["why a token could not be minted", (all) => set(all.unminted, 0, "message", "no such account")],
];

for (const [changesList, differs] of [
  [heartbeats, { whole: false, withoutTokens: false }],
  [changes, { whole: true, withoutTokens: true }],
  [tokenChanges, { whole: true, withoutTokens: false }],
] as const) {
  for (const [name, change] of changesList) {
    const title = differs.withoutTokens ? "matters" : differs.whole ? "is tokens only" : "is none";
    essence(`change ${title}: ${name}`, () => {
      const document = structuredClone(base);
      change(document);
      assert.ok(!isDeepStrictEqual(document, base));
      assert.equal(text(document) !== baseText.true, differs.whole);
      assert.equal(text(document, false) !== baseText.false, differs.withoutTokens);
    });
  }
}

/** Services that are younger than the container; its restart is a change where they give it variables. */
const services = [
  { name: "of its namespace", metadata: { namespace: "kube-system" }, matters: true },
  { name: "of another namespace", metadata: { namespace: "default" }, matters: false },
  {
    name: "that is the apiserver's",
    metadata: { namespace: "default", name: "kubernetes" },
    matters: true,
  },
  { name: "without an address", metadata: {}, spec: { clusterIP: "" }, matters: false },
  { name: "that is headless", metadata: {}, spec: { clusterIP: "None" }, matters: false },
  { name: "without links", metadata: {}, links: false, matters: false },
  {
    name: "that is the apiserver's, without links",
    metadata: { namespace: "default", name: "kubernetes" },
    links: false,
    matters: true,
  },
  {
    name: "that is older",
    metadata: { creationTimestamp: "2020-01-01T00:00:00Z" },
    matters: false,
  },
  { name: "of no age", metadata: { creationTimestamp: null }, matters: false },
];
for (const { name, metadata, spec = {}, links = true, matters } of services) {
  essence(
    `a restart after a Service ${name} ${matters ? "matters" : "is none"}, as for the plan`,
    () => {
      const restarted = (startedAt: string, state = "running") => {
        const document = structuredClone(base);
        const made = {
          namespace: "kube-system",
          name: "late",
          creationTimestamp: "2029-01-01T00:00:00Z",
        };
        const key = { ...made, ...metadata };
        document.items = document.items.filter(({ kind }) => kind !== "Service");
        document.items.push({
          apiVersion: "v1",
          kind: "Service",
          metadata: key,
          spec: { clusterIP: "10.96.0.9", ports: [{ port: 1 }], ...spec },
        });
        set(etcd(document), "spec", "enableServiceLinks", links);
        set(etcd(document), ...first, "state", { [state]: { startedAt } });
        return document;
      };
      const [before, after] = [restarted("2028-01-01T00:00:00Z"), restarted(later)];
      assert.equal(text(before) !== text(after), matters);
      assert.equal(!isDeepStrictEqual(restoreOf(before), restoreOf(after)), matters);
      // One that has ended is told by its last start too.
      assert.ok(text(restarted("2028-01-01T00:00:00Z", "terminated")) === text(before));
    },
  );
}

essence("the order in which the kubelet lists containers does not matter", () => {
  const listed = (names: readonly string[]) => {
    const document = structuredClone(base);
    const statuses = names.map((name) => ({ name, imageID: `sha256:${name}` }));
    set(etcd(document), "status", "containerStatuses", statuses);
    return text(document);
  };
  assert.ok(listed(["a", "b"]) === listed(["b", "a"]));
  assert.ok(listed(["a", "b"]) !== listed(["a", "c"]));
});

essence("a lock that its leader renews is no change, another annotation is", () => {
  const locked = (annotations: object) => {
    const document = structuredClone(base);
    set(item(document, "ConfigMap", "coredns"), "metadata", "annotations", annotations);
    return text(document);
  };
  const leader = "control-plane.alpha.kubernetes.io/leader";
  assert.ok(locked({ [leader]: "1" }) === locked({ [leader]: "2" }));
  const trigger = "endpoints.kubernetes.io/last-change-trigger-time";
  assert.ok(locked({ [trigger]: "1" }) === locked({ [trigger]: "2" }));
  assert.ok(locked({ a: "1" }) !== locked({ a: "2" }));
});

essence("no reason and an absent list of reasons are the same", () => {
  const { unminted: _, ...without } = parseCheckpoint(base);
  assert.ok(text(without) === text({ ...without, unminted: [] }));
});

essence("the order of keys does not matter, whatever they are called", () => {
  const turned = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.map(turned);
    }
    return isFields(value)
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, one]) => [key, turned(one)]),
        )
      : value;
  };
  const document = structuredClone(base);
  const data = JSON.parse('{"__proto__":"YQ==","10":"YQ==","9":"YQ==","toJSON":"YQ==","":"YQ=="}');
  set(item(document, "Secret", "etcd-tls"), "data", data);
  assert.ok(text(turned(document) as Document) === text(document));
  for (const key of Object.keys(data)) {
    const other = structuredClone(document);
    set(
      item(other, "Secret", "etcd-tls"),
      "data",
      Object.fromEntries(
        Object.entries(data).map(([name, value]) => [name, name === key ? "Yg==" : value]),
      ),
    );
    assert.ok(text(other) !== text(document), JSON.stringify(key));
  }
});

essence("numbers that JavaScript cannot hold are told apart", () => {
  const withNumber = (number: string) => {
    const json = encodeJson(base).replace('"containers":[{', `"containers":[{"big":${number},`);
    return text(parseCheckpoint(parseJson(json)));
  };
  assert.ok(withNumber("9007199254740993") !== withNumber("9007199254740992"));
  assert.ok(withNumber("9007199254740993").includes(":9007199254740993"));
});

essence.run();
