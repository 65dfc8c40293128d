import assert from "node:assert/strict";
import { suite } from "uvu";
import { describe, Following, makeWorld, secret, secrets, type World } from "./following.ts";
import { statusOf } from "./simulated-answers.ts";
import type { Fault } from "./simulated-apiserver.ts";

const test = suite("kube/reflector");
const minute = 60_000;

/** Follows five secrets, all of them known. */
async function start(world = makeWorld(), collection = secrets) {
  for (const name of ["a", "b", "c", "d", "e"]) {
    world.server.store.put("secrets", secret(name));
  }
  const following = new Following(world, collection);
  // A connection that has lasted is dialled anew at once.
  await world.clock.run(10_000);
  assert.equal(following.observed.live, true);
  return { ...world, following, verbs: () => world.server.requests.map(({ verb }) => verb) };
}

function settled({ server }: World, following: Following): void {
  assert.equal(following.observed.live, true, String(following.observed.failure));
  assert.deepEqual(following.known, describe(server.store.list("secrets/ns")));
}

test("what changes is told at once, in order, each once", async () => {
  const world = await start();
  const { clock, server, following } = world;
  following.seen.length = 0;
  server.store.put("secrets", secret("a", "2"));
  server.store.put("secrets", secret("a", "3"));
  server.store.delete("secrets", "ns", "b");
  server.store.put("secrets", secret("f"));
  server.store.put("configmaps", { ...secret("a"), kind: "ConfigMap" });
  await clock.run(1);
  assert.deepEqual(following.seen, ["ns/a@7", "ns/a@8", "ns/b deleted", "ns/f@10"]);
  settled(world, following);
  following.stop();
  await following.done;
  await clock.run(1);
  assert.equal(server.watches.length, 0);
});

test("a cut is followed by a resume, not by a list", async () => {
  const world = await start();
  const { clock, server, following, verbs } = world;
  server.breakConnections();
  server.store.put("secrets", secret("a", "while away"));
  assert.equal(following.observed.live, true);
  await clock.run(0);
  assert.equal(following.observed.live, false);
  assert.equal(following.observed.failure?.code, "E_API_UNREACHABLE");
  assert.equal(following.observed.objects?.size, 5);
  await clock.run(500);
  settled(world, following);
  assert.deepEqual(verbs(), ["list", "watch", "watch"]);
  following.stop();
});

for (const goneAs of ["status", "event"] as const) {
  test(`a place that is no longer kept (told as ${goneAs}) is followed by a list`, async () => {
    const world = await start();
    const { clock, server, following, verbs } = world;
    server.goneAs = goneAs;
    server.breakConnections();
    server.store.put("secrets", secret("a", "2"));
    server.store.delete("secrets", "ns", "b");
    server.store.compact();
    await clock.run(500);
    settled(world, following);
    assert.deepEqual(verbs(), ["list", "watch", "watch", "list", "watch"]);
    following.stop();
  });
}

test("a bookmark moves the place, so that a compaction in between costs no list", async () => {
  const world = await start();
  const { clock, server, following, verbs } = world;
  server.store.advance();
  server.store.compact();
  await clock.run(2 * minute);
  server.breakConnections();
  await clock.run(500);
  settled(world, following);
  assert.deepEqual(verbs(), ["list", "watch", "watch"]);
  following.stop();
});

test("a watch that the server ends after an hour or two is resumed at once", async () => {
  const world = await start();
  const { clock, server, following, verbs } = world;
  await clock.run(24 * 60 * minute);
  settled(world, following);
  const watches = verbs().filter((verb) => verb === "watch").length;
  assert.ok(watches >= 12 && watches <= 25, `${watches} watches`);
  assert.deepEqual(following.failures, []);
  assert.equal(server.watches.length, 1);
  following.stop();
});

test("an ERROR event is its failure, and the watch is resumed", async () => {
  const world = await start();
  const { clock, server, following, verbs } = world;
  await clock.run(minute);
  server.watches[0]?.write(
    `{"type":"ERROR","object":${JSON.stringify(statusOf(500, "InternalError"))}}\n`,
  );
  await clock.run(0);
  assert.equal(following.observed.failure?.code, "E_API_SERVER");
  await clock.run(2_000);
  settled(world, following);
  assert.deepEqual(verbs(), ["list", "watch", "watch"]);
  following.stop();
});

const refused = (status: number, headers = {}): Fault => ({
  kind: "answer",
  status,
  headers,
  body: JSON.stringify(statusOf(status, "Whatever")),
});
const answer = (body: string, ends: "whole" | "cut" | "open" = "whole"): Fault => ({
  kind: "answer",
  body,
  ends,
});
const event = (version: number) =>
  `${JSON.stringify({ type: "MODIFIED", object: { ...secret("a"), metadata: { name: "a", namespace: "ns", resourceVersion: String(version) } } })}\n`;
const bookmark = '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"6"}}}\n';

/** Each lasts for ever, of lists or watches or both; a minute may see no more requests than a person could read. */
const faults: readonly { readonly name: string; readonly fault: Fault; readonly code: string }[] = [
  { name: "401", fault: refused(401), code: "E_API_UNAUTHORIZED" },
  { name: "403", fault: refused(403), code: "E_API_FORBIDDEN" },
  { name: "404", fault: refused(404), code: "E_API_NOT_FOUND" },
  { name: "410", fault: refused(410), code: "E_API_GONE" },
  { name: "422", fault: refused(422), code: "E_API_REJECTED" },
  { name: "429", fault: refused(429), code: "E_API_THROTTLED" },
  { name: "500", fault: refused(500), code: "E_API_SERVER" },
  {
    name: "a refusal without end",
    fault: { kind: "answer", status: 503, body: "<p>", ends: "open" },
    code: "E_API_ANSWER",
  },
  { name: "a redirection", fault: refused(302), code: "E_API_ANSWER" },
  { name: "a lost request", fault: { kind: "lost" }, code: "E_API_UNREACHABLE" },
  { name: "an empty body", fault: answer(""), code: "E_API_ANSWER" },
  { name: "a body cut at once", fault: answer("", "cut"), code: "E_API_UNREACHABLE" },
  { name: "half an event", fault: answer('{"type":"ADDED","obj'), code: "E_API_ANSWER" },
  {
    name: "half an event that is cut",
    fault: answer('{"type":', "cut"),
    code: "E_API_UNREACHABLE",
  },
  { name: "garbage", fault: answer("<html>it works\n</html>\n"), code: "E_API_ANSWER" },
  { name: "an unknown type", fault: answer('{"type":"GONE","object":{}}\n'), code: "E_API_ANSWER" },
  {
    name: "a bookmark without a place",
    fault: answer('{"type":"BOOKMARK","object":{}}\n'),
    code: "E_API_ANSWER",
  },
  { name: "an event and its end", fault: answer(event(2)), code: "E_API_ANSWER" },
  { name: "an event and a cut", fault: answer(event(2), "cut"), code: "E_API_UNREACHABLE" },
  {
    name: "an event and 410",
    fault: answer(
      `${event(2)}{"type":"ERROR","object":${JSON.stringify(statusOf(410, "Gone"))}}\n`,
    ),
    code: "E_API_GONE",
  },
  { name: "a bookmark and its end", fault: answer(bookmark), code: "E_API_ANSWER" },
  {
    name: "a login page",
    fault: { kind: "answer", headers: { "content-type": "text/html" }, body: "<p>", ends: "open" },
    code: "E_API_ANSWER",
  },
];

for (const { name, fault, code } of faults) {
  for (const met of ["watch", "list and watch"]) {
    test(`${name} to each ${met} is told, asked about ever more rarely, and passes`, async () => {
      const world = await start();
      const { clock, server, following } = world;
      server.fault = ({ path }) =>
        met === "list and watch" || path.includes("watch=1") ? fault : undefined;
      server.breakConnections();
      const before = server.requests.length;
      await clock.run(minute);
      const first = server.requests.length - before;
      assert.ok(first >= 3 && first <= 24, `${first} requests in the first minute`);
      await clock.run(10 * minute);
      const later = server.requests.length - before - first;
      assert.ok(later >= 15 && later <= 100, `${later} requests in ten more minutes`);
      assert.ok(following.failures.includes(code), [...new Set(following.failures)].join(" "));
      assert.notEqual(following.observed.failure, undefined);
      assert.equal(following.observed.objects?.size, 5);
      assert.ok(
        [...server.connections].every(({ open }) => open <= 1),
        "a stream was kept",
      );
      server.fault = () => undefined;
      server.store.put("secrets", secret("a", "later"));
      await clock.run(minute);
      assert.equal(following.observed.live, true);
      following.stop();
      await following.done;
      await clock.run(1);
      assert.ok([...server.connections].every(({ open }) => open === 0));
    });
  }
}

test("a page of HTML that never ends costs one stream, not one each time", async () => {
  const world = await start();
  const { clock, server, following } = world;
  server.fault = () => ({
    kind: "answer",
    headers: { "content-type": "text/html" },
    body: "<p>",
    ends: "open",
  });
  for (const stream of server.watches) {
    stream.end();
  }
  await clock.run(10 * minute);
  assert.ok(
    [...server.connections].every(({ open }) => open <= 1),
    "streams were kept",
  );
  assert.equal(following.observed.failure?.code, "E_API_ANSWER");
  following.stop();
});

test("Retry-After is honoured, up to a minute", async () => {
  const world = await start();
  const { clock, server, following } = world;
  server.fault = () => ({ ...refused(429, { "retry-after": "45" }) }) as Fault;
  for (const stream of server.watches) {
    stream.end();
  }
  await clock.run(40_000);
  assert.equal(server.requests.length, 3);
  await clock.run(30_000);
  assert.equal(server.requests.length, 4);
  server.fault = () => refused(503, { "retry-after": "999999" });
  await clock.run(3 * minute);
  server.fault = () => undefined;
  await clock.run(1.5 * minute);
  settled(world, following);
  following.stop();
});

test("a connection that is soon lost again and again is dialled ever more rarely", async () => {
  const world = await start();
  const { clock, server, following } = world;
  for (let second = 0; second < 600; second += 1) {
    server.breakConnections();
    await clock.run(1_000);
  }
  assert.ok(server.dials < 60, `${server.dials} dials`);
  await clock.run(minute);
  settled(world, following);
  following.stop();
});

test("a watch that has lasted makes good what failed before it: the next cut is resumed at once", async () => {
  const world = await start();
  const { clock, server, following } = world;
  server.fault = ({ path }) => (path.includes("watch=1") ? refused(500) : undefined);
  server.breakConnections();
  await clock.run(minute);
  server.fault = () => undefined;
  await clock.run(minute);
  server.breakConnections();
  await clock.run(100);
  settled(world, following);
  following.stop();
});

test("who has stopped is not told of a watch that ended at that moment", async () => {
  const { clock, server, following } = await start();
  for (const stream of server.watches) {
    stream.end();
  }
  following.stop();
  await clock.run(1);
  await following.done;
});

test("a bug of the one who is told is not swallowed, and keeps no stream", async () => {
  const world = makeWorld();
  const { reflect } = await import("../../src/kube/reflector.ts");
  const stop = new AbortController();
  const done = reflect(secrets, {
    api: world.connections,
    clock: world.clock,
    signal: stop.signal,
    onChange: ({ live }) => {
      if (live) {
        throw new TypeError("a bug");
      }
    },
  });
  const failed = assert.rejects(done, TypeError);
  await world.clock.run(1_000);
  await failed;
  assert.ok([...world.server.connections].every(({ open }) => open === 0));
});

test.run();
