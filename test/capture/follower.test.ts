import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  claimVolume,
  follow,
  forbid,
  held,
  podWith,
  put,
  remove,
  secretVolume,
  watched,
} from "./following-pods.ts";
import { makeObject, makePod } from "./made.ts";

const test = suite("capture/follower");
const minute = 60_000;
const always = ["Endpoints kubernetes", "Node n1", "Service kubernetes"];
const own = "podsspec.nodeName=n1";

test("a node without captured pods follows its pods and the apiserver's Service, and nothing else", async () => {
  const followed = follow();
  put(followed, podWith("other", [secretVolume("s")], { labels: { skip: "" } }));
  await followed.clock.run(1_000);
  assert.deepEqual(watched(followed), ["default/services/kubernetes", own]);
  assert.deepEqual(held(followed), always);
  assert.equal(followed.follower.view().pods.length, 1);
  assert.deepEqual(followed.follower.view().pending, []);
});

test("each object that a captured pod needs is followed by its name, once", async () => {
  const followed = follow();
  put(followed, makeObject("Secret", "s"));
  put(followed, makeObject("ConfigMap", "c"));
  put(followed, makeObject("Service", "dns", { spec: {} }));
  put(followed, podWith("a", [secretVolume("s"), { configMap: { name: "c" } }]));
  put(followed, podWith("b", [secretVolume("s"), secretVolume("absent")]));
  await followed.clock.run(2_000);
  assert.deepEqual(watched(followed), [
    "default/services/kubernetes",
    "kube-system/configmaps/c",
    "kube-system/secrets/absent",
    "kube-system/secrets/s",
    "kube-system/services",
    own,
  ]);
  assert.deepEqual(held(followed), ["ConfigMap c", ...always, "Secret s", "Service dns"].sort());
  assert.deepEqual(followed.follower.view().pending, []);
  assert.deepEqual(followed.announced.at(-1), 6);
});

test("a node whose pods are in `default` follows that namespace's Services, the apiserver's among them", async () => {
  const followed = follow();
  put(followed, makePod("a", {}, { namespace: "default" }));
  await followed.clock.run(2_000);
  assert.deepEqual(watched(followed), ["default/services", own]);
  assert.deepEqual(held(followed), always);
});

test("what no pod needs any more is followed no longer, and what is needed anew is", async () => {
  const followed = follow();
  put(followed, makeObject("Secret", "s"));
  put(followed, makeObject("Secret", "t"));
  put(followed, podWith("a", [secretVolume("s")]));
  await followed.clock.run(2_000);
  put(followed, podWith("a", [secretVolume("t")]));
  await followed.clock.run(2_000);
  assert.ok(watched(followed).includes("kube-system/secrets/t"));
  assert.ok(!watched(followed).includes("kube-system/secrets/s"));
  assert.deepEqual(held(followed), [...always, "Secret t"].sort());
  remove(followed, "Pod", "a");
  await followed.clock.run(2_000);
  assert.deepEqual(watched(followed), ["default/services/kubernetes", own]);
  assert.deepEqual(held(followed), always);
  assert.deepEqual(followed.follower.view().pending, []);
});

test("a change of anything followed is known at once", async () => {
  const followed = follow();
  put(followed, makeObject("Secret", "s"));
  put(followed, podWith("a", [secretVolume("s")]));
  await followed.clock.run(2_000);
  const before = followed.changes;
  put(followed, makeObject("Secret", "s", { data: { k: "djI=" } }));
  await followed.clock.run(1);
  assert.ok(followed.changes > before);
  const secret = followed.follower.view().objects.find(({ kind }) => kind === "Secret");
  assert.deepEqual(secret?.["data"], { k: "djI=" });
  remove(followed, "Secret", "s");
  await followed.clock.run(1);
  assert.deepEqual(held(followed), always);
  assert.deepEqual(followed.follower.view().pending, []);
});

test("how many watches there are to be is told before the first of them asks for its turn", async () => {
  const followed = follow();
  const send = followed.connections.send.bind(followed.connections);
  const late: string[] = [];
  followed.connections.send = (request, ticket, signal) => {
    if (request.path.includes("secrets") && followed.announced.at(-1) !== 6) {
      late.push(request.path);
    }
    return send(request, ticket, signal);
  };
  put(followed, podWith("a", ["s", "t", "u"].map(secretVolume)));
  await followed.clock.run(2_000);
  assert.deepEqual(late, []);
  assert.equal(watched(followed).length, 6);
});

test("a claim is got, then its volume, and both are got anew every ten minutes", async () => {
  const followed = follow();
  put(followed, makeObject("PersistentVolumeClaim", "c", { spec: { volumeName: "pv1" } }));
  put(followed, { kind: "PersistentVolume", apiVersion: "v1", metadata: { name: "pv1" } });
  put(followed, podWith("a", [claimVolume("c")]));
  await followed.clock.run(2_000);
  assert.deepEqual(
    held(followed),
    [...always, "PersistentVolume pv1", "PersistentVolumeClaim c"].sort(),
  );
  assert.deepEqual(followed.follower.view().pending, []);
  const gets = () => followed.server.requests.filter(({ verb }) => verb === "get").length;
  assert.equal(gets(), 4);
  await followed.clock.run(60 * minute);
  assert.ok(gets() >= 4 * 6 && gets() <= 4 * 8, `${gets()} requests`);
  remove(followed, "Pod", "a");
  await followed.clock.run(2_000);
  assert.deepEqual(held(followed), always);
});

test("a claim that is known stays known while the apiserver has trouble, or refuses it", async () => {
  const followed = follow();
  put(followed, makeObject("PersistentVolumeClaim", "c", { spec: {} }));
  put(followed, podWith("a", [claimVolume("c")]));
  await followed.clock.run(minute);
  for (const status of [500, 403]) {
    forbid(followed, "persistentvolumeclaims", status);
    await followed.clock.run(30 * minute);
    assert.ok(held(followed).includes("PersistentVolumeClaim c"));
    assert.deepEqual(followed.follower.view().pending, []);
    assert.equal(followed.follower.view().refused.size, 0);
  }
});

test("a claim that does not exist is known not to, and is nothing to wait for", async () => {
  const followed = follow();
  put(followed, podWith("a", [claimVolume("c")]));
  await followed.clock.run(2_000);
  assert.deepEqual(held(followed), always);
  assert.deepEqual(followed.follower.view().pending, []);
});

const needs = [
  {
    name: "Secret",
    volume: secretVolume("x"),
    text: "secrets",
    pending: "secrets kube-system/x",
    key: "Secret/kube-system/x",
  },
  {
    name: "claim",
    volume: claimVolume("x"),
    text: "persistentvolumeclaims",
    pending: "persistentvolumeclaims kube-system/x",
    key: "PersistentVolumeClaim/kube-system/x",
  },
] as const;

for (const { name, volume, text, pending, key } of needs) {
  test(`a ${name} that is refused for a moment, as of a new pod, is pending and not refused`, async () => {
    const followed = follow();
    await followed.clock.run(10_000);
    const allow = forbid(followed, text);
    put(followed, podWith("a", [volume]));
    await followed.clock.run(1_000);
    const { pending: waiting, refused, failures } = followed.follower.view();
    assert.deepEqual(waiting, [pending]);
    assert.equal(refused.size, 0);
    assert.deepEqual(
      failures.map(({ code }) => code),
      ["E_API_FORBIDDEN"],
    );
    allow();
    await followed.clock.run(2_500);
    assert.deepEqual(followed.follower.view().pending, []);
    assert.equal(followed.follower.view().refused.size, 0);
  });

  test(`a ${name} that stays refused is refused, said again, and taken once it is allowed`, async () => {
    const followed = follow();
    const allow = forbid(followed, text);
    put(followed, podWith("a", [volume]));
    await followed.clock.run(1_000);
    const before = followed.changes;
    await followed.clock.run(15_000);
    assert.ok(followed.changes > before, "nobody was told");
    const { pending: waiting, refused, failures } = followed.follower.view();
    assert.deepEqual(waiting, []);
    assert.deepEqual([...refused.keys()], [key]);
    assert.equal(refused.get(key)?.code, "E_API_FORBIDDEN");
    assert.deepEqual(failures, []);
    await followed.clock.run(60 * minute);
    assert.deepEqual([...followed.follower.view().refused.keys()], [key]);
    allow();
    await followed.clock.run(minute);
    assert.equal(followed.follower.view().refused.size, 0);
    assert.deepEqual(followed.follower.view().pending, []);
  });

  test(`a ${name} whose refusal is broken by another trouble is pending again`, async () => {
    const followed = follow();
    forbid(followed, text);
    put(followed, podWith("a", [volume]));
    await followed.clock.run(15_000);
    assert.equal(followed.follower.view().refused.size, 1);
    forbid(followed, text, 500);
    await followed.clock.run(minute);
    assert.equal(followed.follower.view().refused.size, 0);
    assert.deepEqual(followed.follower.view().pending, [pending]);
    assert.deepEqual(
      followed.follower.view().failures.map(({ code }) => code),
      ["E_API_SERVER"],
    );
  });
}

test("pods that are refused are never known: no generation may be made of none", async () => {
  const followed = follow();
  forbid(followed, "/pods");
  await followed.clock.run(10 * minute);
  const { pending, refused, failures } = followed.follower.view();
  assert.deepEqual(pending, ["pods of node n1"]);
  assert.equal(refused.size, 0);
  assert.equal(failures[0]?.code, "E_API_FORBIDDEN");
});

test("before anything has come, all is pending", async () => {
  const followed = follow();
  followed.server.isUp = false;
  await followed.clock.run(minute);
  assert.deepEqual(followed.follower.view().pending, [
    "pods of node n1",
    "nodes n1",
    "endpoints default/kubernetes",
  ]);
  assert.deepEqual(followed.follower.view().pods, []);
});

for (const text of ["/nodes/", "/endpoints/"]) {
  test(`${text} may be refused for good: nothing waits for it, and it is hardly asked for`, async () => {
    const followed = follow();
    forbid(followed, text);
    await followed.clock.run(10_000);
    assert.deepEqual(followed.follower.view().pending, []);
    assert.deepEqual(followed.follower.view().failures, []);
    await followed.clock.run(60 * minute);
    const asked = followed.server.requests.filter(({ path }) => path.includes(text)).length;
    assert.ok(asked <= 8, `${asked} requests in an hour`);
  });

  test(`${text} that fails otherwise is waited for`, async () => {
    const followed = follow();
    const allow = forbid(followed, text, 500);
    await followed.clock.run(10_000);
    assert.equal(followed.follower.view().pending.length, 1);
    allow();
    await followed.clock.run(minute);
    assert.deepEqual(followed.follower.view().pending, []);
  });
}

test("a connection that is lost makes all pending with one reason, and nothing is forgotten", async () => {
  const followed = follow();
  put(followed, makeObject("Secret", "s"));
  put(followed, podWith("a", [secretVolume("s"), secretVolume("t")]));
  await followed.clock.run(minute);
  followed.server.stop();
  await followed.clock.run(minute);
  const { pending, failures } = followed.follower.view();
  assert.equal(pending.length, 5);
  assert.equal(failures.length, 1);
  assert.deepEqual(held(followed), [...always, "Secret s"].sort());
  put(followed, makeObject("Secret", "t"));
  remove(followed, "Secret", "s");
  followed.server.start();
  await followed.clock.run(minute);
  assert.deepEqual(followed.follower.view().pending, []);
  assert.deepEqual(held(followed), [...always, "Secret t"].sort());
});

test("a pod that comes and goes a thousand times leaves nothing behind", async () => {
  const followed = follow();
  await followed.clock.run(10_000);
  for (let round = 0; round < 1_000; round += 1) {
    put(followed, podWith("a", [secretVolume(`s${round}`), claimVolume(`c${round}`)]));
    await followed.clock.run(followed.clock.random() * 200);
    remove(followed, "Pod", "a");
    await followed.clock.run(followed.clock.random() * 200);
  }
  await followed.clock.run(10_000);
  assert.deepEqual(watched(followed), ["default/services/kubernetes", own]);
  assert.deepEqual(
    [...followed.server.connections].map(({ open }) => open),
    [2],
  );
  assert.deepEqual(followed.follower.view().pending, []);
});

test("a steady node asks hardly anything", async () => {
  const followed = follow();
  put(
    followed,
    podWith(
      "a",
      Array.from({ length: 50 }, (_, index) => secretVolume(`s${index}`)),
    ),
  );
  await followed.clock.run(10 * minute);
  const before = followed.server.requests.length;
  await followed.clock.run(10 * 60 * minute);
  const hourly = (followed.server.requests.length - before) / 10;
  // 53 watches of one to two hours, two objects every ten minutes.
  assert.ok(hourly <= 55, `${hourly} requests an hour`);
});

test("once it is stopped, everything ends and nobody is told any more", async () => {
  const followed = follow();
  put(followed, podWith("a", [secretVolume("s"), claimVolume("c")]));
  await followed.clock.run(2_000);
  followed.stop.abort(new Error("enough"));
  await followed.clock.run(1);
  const before = followed.changes;
  put(followed, podWith("a", [secretVolume("t")]));
  await followed.clock.run(60 * minute);
  assert.equal(followed.changes, before);
  assert.deepEqual(
    [...followed.server.connections].map(({ open }) => open),
    [0],
  );
});

test.run();
