import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { readContent, writeContent } from "../../src/runtime/content.ts";
import { openGrpcStreams } from "../../src/runtime/grpc-stream.ts";
import { openRuntime } from "../../src/runtime/runtime.ts";
import { blobOf, digestOf, fakeContainerd } from "./fake-containerd.ts";
import { type FakeAnswer, fakeRuntime, frame } from "./fake-runtime.ts";

const test = suite("runtime/grpc-stream");

const call = { method: "/a.B/C", message: Buffer.from("question") };
const head = { ":status": 200, "content-type": "application/grpc" };
const patient = () => ({ silenceMs: 10_000, signal: new AbortController().signal });

/** Answers with these bytes, in these pieces, and a status. */
function body(pieces: readonly Uint8Array[], status = "0"): FakeAnswer {
  return (stream) => {
    stream.respond(head, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
    for (const piece of pieces) {
      stream.write(piece);
    }
    stream.end();
  };
}

const two = Buffer.concat([frame(Buffer.from("one")), frame(Buffer.from("two"))]);
const cases: readonly { name: string; answer: FakeAnswer; takes: string[]; ends: object }[] = [
  {
    name: "messages come one by one, whole, however they are cut",
    answer: body([two.subarray(0, 3), two.subarray(3, 11), two.subarray(11)]),
    takes: ["one", "two"],
    ends: { kind: "ended" },
  },
  { name: "no message is no trouble", answer: body([]), takes: [], ends: { kind: "ended" } },
  {
    name: "a refusal is told with its status",
    answer: { status: 5, words: "no such blob" },
    takes: [],
    ends: { kind: "refused", status: 5, problem: "no such blob" },
  },
  {
    name: "a refusal after some messages is one",
    answer: body([two], "13"),
    takes: ["one", "two"],
    ends: { kind: "refused", status: 13, problem: "it gives no reason" },
  },
  {
    name: "a message that is cut off is no end",
    answer: body([two.subarray(0, -1)]),
    takes: ["one"],
    ends: { kind: "unreachable", problem: "its answer is cut off" },
  },
  {
    name: "a connection that ends in the middle is no end",
    answer: (stream) => {
      stream.respond(head);
      stream.write(two, () => stream.session?.destroy());
    },
    takes: ["one", "two"],
    ends: { kind: "unreachable" },
  },
  {
    name: "a compressed message, for which nobody has asked, is none",
    answer: body([Buffer.concat([Buffer.from([1]), two.subarray(1)])]),
    takes: [],
    ends: { kind: "unreachable", problem: "its answer is not gRPC" },
  },
  {
    name: "a message without end is none",
    answer: body([Buffer.from([0, 255, 255, 255, 255])]),
    takes: [],
    ends: { kind: "unreachable", problem: "its answer is not gRPC" },
  },
];
for (const { name, answer, takes, ends } of cases) {
  test(name, async () => {
    await using runtime = await fakeRuntime(() => answer);
    using streams = openGrpcStreams(runtime.path);
    const taken: string[] = [];
    const end = await streams.receive(
      call,
      async (message) => void taken.push(Buffer.from(message).toString()),
      patient(),
    );
    assert.deepEqual(Object.fromEntries(Object.entries(end).filter(([key]) => key in ends)), ends);
    assert.ok(takes.every((text, at) => taken[at] === text) || !("status" in ends), `${taken}`);
    assert.deepEqual(taken.slice(0, takes.length), takes.slice(0, taken.length));
    assert.deepEqual(
      runtime.asked.map(({ message }) => String(message)),
      ["question"],
    );
  });
}

test("silence and a signal end a call", async () => {
  await using runtime = await fakeRuntime(() => (stream) => stream.respond(head));
  using streams = openGrpcStreams(runtime.path);
  const take = async () => undefined;
  const { signal } = new AbortController();
  const silent = await streams.receive(call, take, { silenceMs: 200, signal });
  assert.deepEqual(silent, { kind: "unreachable", problem: "no answer within 0.2 s" });
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  const stopped = await streams.receive(call, take, { silenceMs: 60_000, signal: stop.signal });
  assert.deepEqual(stopped, { kind: "unreachable", problem: "stopped" });
  const never = await streams.receive(call, take, { silenceMs: 60_000, signal: stop.signal });
  assert.deepEqual(never, { kind: "unreachable", problem: "stopped" });
});

test("what the taker throws ends the call and is thrown, and the next call works", async () => {
  await using runtime = await fakeRuntime(() => body([two]));
  using streams = openGrpcStreams(runtime.path);
  const full = async () => {
    throw new RangeError("the disk is full");
  };
  await assert.rejects(streams.receive(call, full, patient()), RangeError);
  const end = await streams.receive(call, async () => undefined, patient());
  assert.deepEqual(end, { kind: "ended" });
});

test("a server is not let run ahead of a slow taker", async () => {
  let sentBytes = 0;
  const pour = async (stream: ServerHttp2Stream) => {
    stream.respond(head, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    const piece = frame(Buffer.alloc(32 << 10));
    for (let count = 0; count < 2_000; count += 1) {
      sentBytes += piece.length;
      if (!stream.write(piece)) {
        await once(stream, "drain");
      }
    }
    stream.end();
  };
  await using runtime = await fakeRuntime(() => (stream) => void pour(stream));
  using streams = openGrpcStreams(runtime.path);
  let takenBytes = 0;
  let mostAhead = 0;
  const end = await streams.receive(
    call,
    async (message) => {
      takenBytes += message.length;
      if (takenBytes < 20 << 20) {
        await sleep(0);
      }
      mostAhead = Math.max(mostAhead, sentBytes - takenBytes);
    },
    patient(),
  );
  assert.deepEqual(end, { kind: "ended" });
  assert.equal(takenBytes, 2_000 * (32 << 10));
  assert.ok(mostAhead < 8 << 20, `${mostAhead} bytes ahead`);
});

test("where no server is, the reason is told", async () => {
  using streams = openGrpcStreams("/nowhere/runtime.sock");
  const gives = { kind: "unreachable", problem: "there is no such socket" };
  assert.deepEqual(await streams.receive(call, async () => undefined, patient()), gives);
  async function* messages() {
    yield Buffer.from("one");
  }
  assert.deepEqual(await streams.exchange(call, messages(), patient()), gives);
});

test("a blob of many megabytes goes there and back unchanged, a piece at a time", async () => {
  await using fake = await fakeContainerd();
  using runtime = openRuntime(fake.path, new AbortController().signal);
  const bytes = Buffer.alloc(24 << 20, "some bytes that are not all the same, ");
  const digest = digestOf(bytes);
  let asked = 0;
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 1 << 20) {
      asked = at;
      yield bytes.subarray(at, at + (1 << 20));
    }
  }
  const blob = { digest, size: bytes.length, labels: new Map([["key", "value"]]), lease: "lease" };
  await writeContent(runtime, blob, pieces());
  assert.ok(asked > 0 && fake.mostBytes < 2 << 20, `${fake.mostBytes} bytes at once`);
  assert.ok(fake.blobs.get(digest)?.bytes?.equals(bytes));
  assert.equal(fake.blobs.get(digest)?.labels.get("key"), "value");
  const read: Buffer[] = [];
  const take = async (piece: Uint8Array) => void read.push(Buffer.from(piece));
  assert.equal(await readContent(runtime, { digest }, take), true);
  assert.ok(Buffer.concat(read).equals(bytes));
  assert.equal(await readContent(runtime, { digest: "sha256:none" }, take), false);
});

test("other bytes are not committed, and one that is there already is no trouble", async () => {
  await using fake = await fakeContainerd();
  using runtime = openRuntime(fake.path, new AbortController().signal);
  const bytes = Buffer.from("content");
  const digest = digestOf(bytes);
  const blob = { digest, size: bytes.length, labels: new Map(), lease: "lease" };
  async function* pieces(text: string) {
    yield Buffer.from(text);
  }
  await assert.rejects(writeContent(runtime, blob, pieces("contenT")), { code: "E_DIGEST" });
  assert.equal(fake.blobs.size, 0);
  async function* broken() {
    yield Buffer.from("cont");
    throw new RangeError("the disk is ill");
  }
  await assert.rejects(writeContent(runtime, blob, broken()), RangeError);
  assert.deepEqual(fake.aborted, [`blackstart-${digest}`, `blackstart-${digest}`]);
  assert.equal(fake.blobs.size, 0);
  fake.blobs.set(digest, blobOf(bytes));
  await writeContent(runtime, blob, pieces("content"));
  assert.deepEqual(fake.committed, []);
});

test.run();
