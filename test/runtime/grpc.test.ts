import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { openGrpcSocket, type UnaryAnswer } from "../../src/runtime/grpc.ts";
import { type FakeAnswer, fakeRuntime, frame } from "./fake-runtime.ts";

const test = suite("runtime/grpc");

const method = "/a.B/C";
const message = Buffer.from("question");
const head = { ":status": 200, "content-type": "application/grpc" };

/** An answer whose body is these bytes, and whose status says that all is well. */
function body(bytes: Uint8Array): FakeAnswer {
  return (stream) => {
    stream.respond(head, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(bytes);
  };
}

const cases: readonly { name: string; answer: FakeAnswer; gives: Partial<UnaryAnswer> }[] = [
  {
    name: "an answer is its message",
    answer: { message: Buffer.from("answer") },
    gives: { kind: "answered", message: Buffer.from("answer") },
  },
  {
    name: "an empty message is one",
    answer: { message: Buffer.alloc(0) },
    gives: { kind: "answered", message: Buffer.alloc(0) },
  },
  {
    name: "NOT_FOUND is refused with its words",
    answer: { status: 5, words: "no%20such image" },
    gives: { kind: "refused", status: 5, problem: "no such image" },
  },
  {
    name: "words that are encoded wrongly are shown as they are",
    answer: { status: 2, words: "100%" },
    gives: { kind: "refused", status: 2, problem: "100%" },
  },
  {
    name: "an error among the trailers is refused too",
    answer: (stream) => {
      stream.respond(head, { waitForTrailers: true });
      stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "13" }));
      stream.end(frame(Buffer.from("half")));
    },
    gives: { kind: "refused", status: 13, problem: "it gives no reason" },
  },
  {
    name: "an answer that is shorter than it says is none",
    answer: body(frame(Buffer.from("answer")).subarray(0, -1)),
    gives: { kind: "unreachable", problem: "its answer is cut off" },
  },
  {
    name: "an answer without a frame is none",
    answer: body(Buffer.alloc(0)),
    gives: { kind: "unreachable", problem: "its answer is cut off" },
  },
  {
    name: "two messages are no answer",
    answer: body(Buffer.concat([frame(message), frame(message)])),
    gives: { kind: "unreachable", problem: "its answer is cut off" },
  },
  {
    name: "a compressed message, for which nobody has asked, is none",
    answer: body(Buffer.concat([Buffer.from([1]), frame(message).subarray(1)])),
    gives: { kind: "unreachable", problem: "its answer is cut off" },
  },
  {
    name: "an answer of another protocol is none",
    answer: (stream) => {
      stream.respond({ ":status": 404 });
      stream.end("nothing here");
    },
    gives: { kind: "unreachable", problem: "its answer is not gRPC" },
  },
  {
    name: "a stream that is reset is no answer",
    answer: (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    gives: { kind: "unreachable" },
  },
  {
    name: "a connection that ends in the middle of an answer is none",
    answer: (stream) => {
      stream.respond(head);
      stream.write(frame(message).subarray(0, 7), () => stream.session?.destroy());
    },
    gives: { kind: "unreachable" },
  },
  {
    name: "an answer that never ends is cut off",
    answer: (stream) => {
      stream.respond(head);
      const chunk = Buffer.alloc(1 << 20);
      const more = () => {
        if (!stream.destroyed) {
          stream.write(chunk, more);
        }
      };
      more();
    },
    gives: { kind: "unreachable", problem: "its answer does not end" },
  },
];
for (const { name, answer, gives } of cases) {
  test(name, async () => {
    await using runtime = await fakeRuntime(() => answer);
    using socket = openGrpcSocket(runtime.path);
    assertGives(await socket.call({ method, message }, 10_000), gives);
  });
}

test("silence ends at the deadline, and the other calls go on", async () => {
  await using runtime = await fakeRuntime(({ method: asked }) =>
    asked === "/a.B/Silent" ? () => undefined : { message: Buffer.from("answer") },
  );
  using socket = openGrpcSocket(runtime.path);
  const startMs = performance.now();
  const silent = socket.call({ method: "/a.B/Silent", message }, 300);
  assertGives(await socket.call({ method, message }, 10_000), { kind: "answered" });
  assertGives(await silent, { kind: "unreachable", problem: "no answer within 0.3 s" });
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs >= 290 && tookMs < 5_000, `${tookMs} ms`);
  assertGives(await socket.call({ method, message }, 10_000), { kind: "answered" });
  assert.equal(runtime.connections(), 1);
});

test("the server is told method, message, deadline and metadata", async () => {
  await using runtime = await fakeRuntime(() => ({ message: Buffer.alloc(0) }));
  using socket = openGrpcSocket(runtime.path);
  await socket.call({ method, message, metadata: { "containerd-namespace": "k8s.io" } }, 2_000);
  const [asked] = runtime.asked;
  assert.equal(asked?.method, method);
  assert.deepEqual(asked?.message, message);
  assert.equal(asked?.headers["grpc-timeout"], "2000m");
  assert.equal(asked?.headers["te"], "trailers");
  assert.equal(asked?.headers["containerd-namespace"], "k8s.io");
});

test("many calls at once are all answered, each with its own", async () => {
  await using runtime = await fakeRuntime(({ message: asked }) => ({ message: asked }));
  using socket = openGrpcSocket(runtime.path);
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, at) =>
      socket.call({ method, message: Buffer.from(`${at}`) }, 10_000),
    ),
  );
  assert.deepEqual(
    answers.map((answer) => (answer.kind === "answered" ? `${answer.message}` : answer)),
    Array.from({ length: 500 }, (_, at) => `${at}`),
  );
});

test("a server that says goodbye is unreachable for what comes after", async () => {
  await using runtime = await fakeRuntime(({ message: asked }) =>
    asked.length === 0 ? () => undefined : (stream) => stream.session?.goaway(0, 2 ** 31 - 1),
  );
  using socket = openGrpcSocket(runtime.path);
  // What is under way may still be answered, so that the connection stays for a while.
  const early = socket.call({ method, message: Buffer.alloc(0) }, 1_000);
  assertGives(await socket.call({ method, message }, 300), { kind: "unreachable" });
  const problem = "it is about to close the connection";
  assertGives(await socket.call({ method, message }, 300), { kind: "unreachable", problem });
  assertGives(await early, { kind: "unreachable" });
});

test("a closed socket ends the calls that are under way, and those that come after", async () => {
  await using runtime = await fakeRuntime(() => () => undefined);
  const socket = openGrpcSocket(runtime.path);
  const waiting = socket.call({ method, message }, 60_000);
  socket[Symbol.dispose]();
  assertGives(await waiting, { kind: "unreachable" });
  assertGives(await socket.call({ method, message }, 60_000), { kind: "unreachable" });
});

test("where no server is, the reason is told at once", async () => {
  const dir = mkdtempSync(join(tmpdir(), "grpc-"));
  try {
    const left = join(dir, "left.sock");
    const server = createServer().listen(left);
    // As after a crash: the name is there, nobody listens. A rename keeps closing from removing it.
    await once(server, "listening");
    renameSync(left, join(dir, "stale.sock"));
    await once(server.close(), "close");
    writeFileSync(join(dir, "file.sock"), "");
    const places = [
      ["none.sock", "there is no such socket"],
      ["stale.sock", "nobody listens there"],
      ["file.sock", "nobody listens there"],
    ] as const;
    for (const [name, problem] of places) {
      using socket = openGrpcSocket(join(dir, name));
      const gives = { kind: "unreachable", problem } as const;
      assertGives(await socket.call({ method, message }, 60_000), gives);
      assertGives(await socket.call({ method, message }, 60_000), gives);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a server that does not speak HTTP/2 is unreachable", async () => {
  const dir = mkdtempSync(join(tmpdir(), "grpc-"));
  const path = join(dir, "text.sock");
  const server = createServer((socket) => socket.end("220 ready\r\n")).listen(path);
  try {
    using socket = openGrpcSocket(path);
    assertGives(await socket.call({ method, message }, 10_000), { kind: "unreachable" });
  } finally {
    server.close();
    rmSync(dir, { recursive: true });
  }
});

function assertGives(answer: UnaryAnswer, gives: Partial<UnaryAnswer>): void {
  const found = Object.entries(answer).filter(([key]) => key in gives);
  assert.deepEqual(Object.fromEntries(found), gives, JSON.stringify(answer));
  assert.ok(answer.kind === "answered" || answer.problem !== "");
}

test.run();
