import assert from "node:assert/strict";
import { suite } from "uvu";
import { readEvents, type WatchEvent } from "../../src/kube/watch-events.ts";
import { rejects } from "../rejects.ts";
import { secret } from "./following.ts";

const test = suite("kube/watch-events");
const asked = { verb: "watch", resource: "secrets", object: "of namespace ns" } as const;
const value = secret("a", "é€𝄞");
const added = JSON.stringify({ type: "ADDED", object: { ...value, note: "é€𝄞" } });
const deleted = JSON.stringify({ type: "DELETED", object: value });
const bookmark =
  '{"type":"BOOKMARK","object":{"kind":"Secret","metadata":{"resourceVersion":"12"}}}';

async function* chunks(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield typeof part === "string" ? Buffer.from(part) : part;
  }
}

async function read(body: AsyncIterable<Uint8Array>): Promise<readonly WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of readEvents(body, asked)) {
    events.push(event);
  }
  return events;
}

test("events are the same wherever their bytes are broken, within a character too", async () => {
  const bytes = Buffer.from(`${added}\n${bookmark}\r\n\n${deleted}\n`);
  const whole = await read(chunks(bytes));
  assert.deepEqual(
    whole.map(({ kind }) => kind),
    ["present", "bookmark", "deleted"],
  );
  assert.ok(whole[0]?.kind === "present" && whole[0].object["note"] === "é€𝄞");
  for (let at = 0; at <= bytes.length; at += 1) {
    assert.deepEqual(await read(chunks(bytes.subarray(0, at), bytes.subarray(at))), whole);
  }
  const single = [...bytes].map((byte) => Buffer.of(byte));
  assert.deepEqual(await read(chunks(...single)), whole);
});

test("an event is told as soon as its line is whole, before the next chunk comes", async () => {
  const next = Promise.withResolvers<void>();
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(`${added}\n${deleted}`);
    await next.promise;
  }
  const events = readEvents(body(), asked);
  assert.equal((await events.next()).value?.kind, "present");
  next.resolve();
  await rejects(() => events.next(), "E_API_ANSWER");
});

test("what is kept of a chunk is a copy, so that a large chunk is not kept with it", async () => {
  const chunk = Buffer.from(`${bookmark}\n${bookmark.slice(0, 10)}`);
  async function* body(): AsyncGenerator<Uint8Array> {
    yield chunk;
    chunk.fill(0x20); // the reader of a socket may use its buffer again
    yield Buffer.from(`${bookmark.slice(10)}\n`);
  }
  assert.equal((await read(body())).length, 2);
});

test("numbers that JavaScript cannot hold survive", async () => {
  const [event] = await read(chunks(`${added.slice(0, -2)},"n":9007199254740993}}\n`));
  assert.ok(event?.kind === "present");
  assert.match(JSON.stringify(event.object), /9007199254740993/);
});

const error = (object: unknown) => `${JSON.stringify({ type: "ERROR", object })}\n`;
const status = (code: unknown, reason: unknown) => ({
  kind: "Status",
  code,
  reason,
  message: "s3cret",
});

const bad = [
  { name: "an event that is cut short", text: `${added}`, code: "E_API_ANSWER" },
  { name: "half an event", text: added.slice(0, 30), code: "E_API_ANSWER" },
  { name: "text", text: "s3cret\n", code: "E_API_ANSWER" },
  { name: "null", text: "null\n", code: "E_API_ANSWER" },
  { name: "a list", text: "[]\n", code: "E_API_ANSWER" },
  { name: "an event without an object", text: '{"type":"ADDED"}\n', code: "E_API_ANSWER" },
  {
    name: "an object that is none",
    text: '{"type":"ADDED","object":{"s3cret":1}}\n',
    code: "E_API_ANSWER",
  },
  { name: "an unknown type", text: '{"type":"s3cret","object":{}}\n', code: "E_API_ANSWER" },
  {
    name: "a bookmark without a place",
    text: '{"type":"BOOKMARK","object":{"metadata":{}}}\n',
    code: "E_API_ANSWER",
  },
  {
    name: "a bookmark with an empty place",
    text: '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}\n',
    code: "E_API_ANSWER",
  },
  { name: "410 Expired", text: error(status(410, "Expired")), code: "E_API_GONE" },
  { name: "410 Gone", text: error(status(410, "Gone")), code: "E_API_GONE" },
  {
    name: "an expiry with another status",
    text: error(status(500, "Expired")),
    code: "E_API_GONE",
  },
  { name: "401", text: error(status(401, "Unauthorized")), code: "E_API_UNAUTHORIZED" },
  { name: "403", text: error(status(403, "Forbidden")), code: "E_API_FORBIDDEN" },
  { name: "429", text: error(status(429, "TooManyRequests")), code: "E_API_THROTTLED" },
  { name: "504", text: error(status(504, "Timeout")), code: "E_API_SERVER" },
  {
    name: "an error with a reason that is a sentence",
    text: error(status(500, "s3cret s3cret")),
    code: "E_API_SERVER",
  },
  { name: "an error without a code", text: error({ kind: "Status" }), code: "E_API_ANSWER" },
  {
    name: "an error whose code is no failure",
    text: error(status(200, "OK")),
    code: "E_API_ANSWER",
  },
  { name: "an error whose code is text", text: error(status("410", "x")), code: "E_API_ANSWER" },
] as const;

for (const { name, text, code } of bad) {
  test(`${name} is ${code}, and nothing of it is shown`, async () => {
    const failure = await rejects(() => read(chunks(text)), code);
    assert.doesNotMatch(failure.message, /s3cret/);
  });
}

test("an event that never ends is refused before it fills the memory", async () => {
  let sent = 0;
  async function* body(): AsyncGenerator<Uint8Array> {
    for (;;) {
      sent += 1_048_576;
      yield Buffer.alloc(1_048_576, 0x61);
    }
  }
  await rejects(() => read(body()), "E_API_ANSWER");
  assert.ok(sent <= 17 * 1_048_576, `${sent} bytes`);
});

test.run();
