import assert from "node:assert/strict";
import { suite } from "uvu";
import type { FailureCode } from "../../src/errors.ts";
import { ApiFailure } from "../../src/kube/api-failure.ts";
import { listObjects } from "../../src/kube/list.ts";
import { type Asking, askJson, getObject } from "../../src/kube/request.ts";
import { rejects } from "../rejects.ts";
import { makeWorld, secret, type World } from "./following.ts";
import { statusOf } from "./simulated-answers.ts";
import type { Fault } from "./simulated-apiserver.ts";

const test = suite("kube/request");
const asked = { verb: "list", resource: "secrets", object: "of namespace ns" } as const;
const kind = { kind: "Secret", apiVersion: "v1" };
const path = "/api/v1/namespaces/ns/secrets";

/** Runs a request in virtual time; gives what it ends in, and how long that took. */
async function run<Value>(
  world: World,
  call: (asking: Asking) => Promise<Value>,
  attempts = 1,
): Promise<{ readonly value: Promise<Value>; readonly ms: number }> {
  const { clock, connections: api } = world;
  const began = clock.now();
  let ended = began;
  const value = call({ api, clock, attempts, signal: new AbortController().signal }).finally(() => {
    ended = clock.now();
  });
  value.catch(() => undefined);
  await clock.run(3_600_000);
  assert.ok(
    [...world.server.connections].every(({ open }) => open === 0),
    "a stream was kept",
  );
  return { value, ms: ended - began };
}

const list = (asking: Asking) => listObjects(path, "", kind, asked, asking);
const json = (asking: Asking) => askJson({ method: "GET", path }, asked, asking);

function fill({ server }: World, count: number): void {
  for (let index = 0; index < count; index += 1) {
    server.store.put("secrets", secret(`s${index}`));
  }
}

test("a long list is read in pages of 500, at the place of the first", async () => {
  const world = makeWorld();
  fill(world, 1_200);
  const { items, resourceVersion } = await (await run(world, list)).value;
  assert.equal(items.length, 1_200);
  assert.equal(new Set(items.map(({ metadata }) => metadata.name)).size, 1_200);
  assert.equal(resourceVersion, String(world.server.store.revision));
  assert.equal(world.server.requests.length, 3);
  assert.equal(items[0]?.kind, "Secret");
  assert.equal(items[0]?.apiVersion, "v1");
});

test("a list of exactly one page is one request", async () => {
  const world = makeWorld();
  fill(world, 500);
  assert.equal((await (await run(world, list)).value).items.length, 500);
  assert.equal(world.server.requests.length, 1);
});

test("a page whose token has expired is followed by the whole list in one piece", async () => {
  const world = makeWorld();
  fill(world, 1_200);
  world.server.pageTokensExpire = true;
  const { items } = await (await run(world, list)).value;
  assert.equal(items.length, 1_200);
  assert.deepEqual(
    world.server.requests.map(({ path: one }) => /limit|continue/.exec(one)?.[0]),
    ["limit", "limit", undefined],
  );
});

test("410 to a list without a token is its failure, not a loop", async () => {
  const world = makeWorld();
  world.server.fault = () => answer(410, JSON.stringify(statusOf(410, "Expired")));
  await rejects(async () => (await run(world, list, 5)).value, "E_API_GONE");
  assert.equal(world.server.requests.length, 1);
});

test("a proxy that gives one page again and again is told, not followed", async () => {
  const world = makeWorld();
  const metadata = { resourceVersion: "5", continue: "again" };
  const page = { kind: "SecretList", metadata, items: [secret("a")] };
  world.server.fault = () => answer(200, JSON.stringify(page));
  await rejects(async () => (await run(world, list)).value, "E_API_ANSWER");
  assert.equal(world.server.requests.length, 2);
});

test("an empty list may be null, as a typed client writes it", async () => {
  const world = makeWorld();
  const page = { kind: "SecretList", metadata: { resourceVersion: "5" }, items: null };
  world.server.fault = () => answer(200, JSON.stringify(page));
  assert.deepEqual((await (await run(world, list)).value).items, []);
});

const good = { kind: "SecretList", metadata: { resourceVersion: "5" }, items: [secret("a")] };
const noLists: readonly { readonly name: string; readonly body: unknown }[] = [
  { name: "a list of something else", body: { ...good, kind: "PodList" } },
  { name: "a list without a place", body: { ...good, metadata: {} } },
  { name: "a list with an empty place", body: { ...good, metadata: { resourceVersion: "" } } },
  { name: "a list whose items are none", body: { ...good, items: {} } },
  { name: "an item that is no object", body: { ...good, items: [secret("a"), 7] } },
  { name: "an item with a bad name", body: { ...good, items: [secret("../a")] } },
  {
    name: "a token that is no text",
    body: { ...good, metadata: { resourceVersion: "5", continue: 7 } },
  },
  { name: "text", body: "list" },
  { name: "null", body: null },
];

for (const { name, body } of noLists) {
  test(`${name} is E_API_ANSWER: whole or not at all`, async () => {
    const world = makeWorld();
    world.server.fault = () => answer(200, JSON.stringify(body));
    await rejects(async () => (await run(world, list)).value, "E_API_ANSWER");
  });
}

function answer(
  status: number,
  body: string,
  headers = {},
  ends: "whole" | "cut" = "whole",
): Fault {
  return { kind: "answer", status, body, headers, ends };
}

const html = { "content-type": "text/html" };
const long = `<p>s3cret${"x".repeat(200_000)}`;
const word = JSON.stringify(statusOf(403, "Forbidden"));
const answers: readonly {
  readonly name: string;
  readonly fault: Fault;
  readonly code: FailureCode;
}[] = [
  ...(
    [
      [400, "E_API_REJECTED"],
      [401, "E_API_UNAUTHORIZED"],
      [403, "E_API_FORBIDDEN"],
      [404, "E_API_NOT_FOUND"],
      [409, "E_API_REJECTED"],
      [410, "E_API_GONE"],
      [422, "E_API_REJECTED"],
      [429, "E_API_THROTTLED"],
      [500, "E_API_SERVER"],
      [503, "E_API_SERVER"],
      [504, "E_API_SERVER"],
    ] as const
  ).flatMap(([status, code]) => {
    // What decides over a generation counts only as an apiserver's own word.
    const bare = [403, 404, 410].includes(status) ? "E_API_ANSWER" : code;
    const whole = JSON.stringify(statusOf(status, "Why"));
    return [
      { name: `${status} with a Status`, fault: answer(status, whole), code },
      { name: `${status} with HTML`, fault: answer(status, "<p>s3cret", html), code: bare },
      { name: `${status} with a long page`, fault: answer(status, long, html), code: bare },
      {
        name: `${status} cut short`,
        fault: answer(status, whole.slice(0, 20), {}, "cut"),
        code: bare,
      },
      { name: `${status} without a body`, fault: answer(status, ""), code: bare },
    ] as const;
  }),
  {
    name: "a redirection",
    fault: answer(302, "s3cret", { location: "/s3cret" }),
    code: "E_API_ANSWER",
  },
  { name: "200 with HTML", fault: answer(200, "<p>s3cret", html), code: "E_API_ANSWER" },
  {
    name: "200 without a type",
    fault: answer(200, "{}", { "content-type": "" }),
    code: "E_API_ANSWER",
  },
  {
    name: "a type that only begins as JSON's",
    fault: answer(200, "{}", { "content-type": "application/json5" }),
    code: "E_API_ANSWER",
  },
  {
    name: "protobuf",
    fault: answer(200, "k8s\0s3cret", { "content-type": "application/vnd.kubernetes.protobuf" }),
    code: "E_API_ANSWER",
  },
  { name: "truncated JSON", fault: answer(200, '{"a":"s3cret'), code: "E_API_ANSWER" },
  {
    name: "JSON that is cut",
    fault: answer(200, '{"a":"s3cret', {}, "cut"),
    code: "E_API_UNREACHABLE",
  },
  { name: "an empty body", fault: answer(200, ""), code: "E_API_ANSWER" },
  { name: "a lost request", fault: { kind: "lost" }, code: "E_API_UNREACHABLE" },
];

for (const { name, fault, code } of answers) {
  test(`${name} is ${code}, and nothing of the body is shown`, async () => {
    const world = makeWorld();
    world.server.fault = () => fault;
    const failure = await rejects(async () => (await run(world, json)).value, code);
    assert.doesNotMatch(failure.message, /s3cret/);
  });
}

test("a status tells Kubernetes' reason, and no more of the body", async () => {
  const world = makeWorld();
  world.server.fault = () => answer(403, word);
  const failure = await rejects(async () => (await run(world, json)).value, "E_API_FORBIDDEN");
  assert.match(failure.message, /403 Forbidden/);
  assert.ok(failure instanceof ApiFailure && failure.status === 403);
});

test("an answer that is too large is refused while it comes", async () => {
  const world = makeWorld();
  world.server.fault = () => answer(200, `"${"x".repeat(70 * 1_048_576)}"`);
  await rejects(async () => (await run(world, json)).value, "E_API_ANSWER");
});

for (const [status, tries] of [
  [429, 4],
  [500, 4],
  [401, 1],
  [403, 1],
  [404, 1],
  [422, 1],
] as const) {
  test(`${status} is tried ${tries === 1 ? "once" : "as often as is allowed"}`, async () => {
    const world = makeWorld();
    world.server.fault = () => answer(status, JSON.stringify(statusOf(status, "Why")));
    await assert.rejects(async () => (await run(world, json, 4)).value, ApiFailure);
    assert.equal(world.server.requests.length, tries);
  });
}

test("what passes is not seen: the attempt after it counts", async () => {
  const world = makeWorld();
  fill(world, 3);
  const faults: (Fault | undefined)[] = [{ kind: "lost" }, answer(500, ""), answer(200, "{")];
  world.server.fault = () => faults.shift();
  const { value, ms } = await run(world, list, 4);
  assert.equal((await value).items.length, 3);
  assert.ok(ms >= 1_500 && ms <= 4_000, `${ms} ms`);
});

for (const { name, retryAfter, least, most } of [
  { name: "is honoured", retryAfter: "5", least: 5_000, most: 7_600 },
  {
    name: "that is a date is passed over",
    retryAfter: "Fri, 31 Dec 1999 23:59:59 GMT",
    least: 250,
    most: 600,
  },
  { name: "that is negative is passed over", retryAfter: "-5", least: 250, most: 600 },
]) {
  test(`Retry-After ${name}`, async () => {
    const world = makeWorld();
    const faults: (Fault | undefined)[] = [answer(429, "", { "retry-after": retryAfter })];
    world.server.fault = () => faults.shift();
    const { value, ms } = await run(world, list, 2);
    await value;
    assert.ok(ms >= least && ms <= most, `${ms} ms`);
  });
}

test("who asks for a longer wait than somebody would wait is told of at once", async () => {
  const world = makeWorld();
  world.server.fault = () => answer(429, "", { "retry-after": "20" });
  const { value, ms } = await run(world, list, 5);
  await rejects(() => value, "E_API_THROTTLED");
  assert.equal(world.server.requests.length, 1);
  assert.ok(ms <= 600, `${ms} ms`);
});

test("a body that never ends is given up, and its stream is given back", async () => {
  const world = makeWorld();
  world.server.fault = () => ({ kind: "answer", body: '{"a":', ends: "open" });
  const { value, ms } = await run(world, list);
  await rejects(() => value, "E_API_ANSWER");
  assert.ok(ms <= 60_000, `${ms} ms`);
});

test("an object comes exactly as it was sent", async () => {
  const world = makeWorld();
  const text =
    '{"zz":1.50,"kind":"Secret","apiVersion":"v1","metadata":{"name":"a","future":{"n":9007199254740993}}}';
  world.server.fault = () =>
    answer(200, text, { "content-type": "application/json; charset=utf-8" });
  const object = await (await run(world, (asking) => getObject(`${path}/a`, asked, asking))).value;
  assert.equal(JSON.stringify(object), text.replace("1.50", "1.5"));
});

test("an aborted request ends at once, in a wait too", async () => {
  const { clock, connections: api, server } = makeWorld();
  server.fault = () => answer(429, "", { "retry-after": "6" });
  const stop = new AbortController();
  const value = json({ api, clock, attempts: 9, signal: stop.signal });
  const failed = assert.rejects(value, /enough/);
  await clock.run(1_000);
  stop.abort(new Error("enough"));
  await failed;
});

test.run();
