import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeMessage, mapIn, messageAt, numberIn, textIn } from "../../src/runtime/message.ts";
import { askedImage, type FakeImage, frame, imageStatusResponse } from "./fake-runtime.ts";

export interface FakeBlob {
  /** Of the file; undefined where that is gone, and the database does not know. */
  bytes: Buffer | undefined;
  /** As the database has it. */
  readonly size: number;
  readonly labels: ReadonlyMap<string, string>;
}

/** As much of containerd as an archive of images uses, in memory, on a Unix socket. */
export interface FakeContainerd extends AsyncDisposable {
  readonly path: string;
  /** What it calls itself. */
  name: string;
  readonly blobs: Map<string, FakeBlob>;
  /** Name → descriptor, as it was sent. */
  readonly images: Map<
    string,
    { readonly target: Uint8Array; readonly labels: ReadonlyMap<string, string> }
  >;
  /** What CRI tells of images whose id or name is among `images`. */
  readonly cri: FakeImage[];
  readonly sandboxes: string[];
  /** `<snapshotter>/<key>`. */
  readonly snapshots: Set<string>;
  readonly leases: Set<string>;
  /** Digests, in the order in which they were committed. */
  readonly committed: string[];
  /** References of writes that were given up. */
  readonly aborted: string[];
  /** Of a blob at a time. */
  pieceBytes: number;
  /** Is awaited before each piece of a blob that is read. */
  beforePiece: () => Promise<void>;
  /** Bytes of a message that were received and not yet answered, at most. */
  mostBytes: number;
}

/** Pure. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function blobOf(bytes: Buffer, labels: ReadonlyMap<string, string> = new Map()): FakeBlob {
  return { bytes, size: bytes.length, labels };
}

/** @param path  of its socket, whose directory exists; undefined: in a new temporary directory */
export async function fakeContainerd(path?: string): Promise<FakeContainerd> {
  const dir = path === undefined ? mkdtempSync(join(tmpdir(), "containerd-")) : undefined;
  const socket = path ?? join(dir ?? "", "containerd.sock");
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  const fake: FakeContainerd = {
    path: socket,
    name: "containerd",
    blobs: new Map(),
    images: new Map(),
    cri: [],
    sandboxes: [],
    snapshots: new Set(),
    leases: new Set(),
    committed: [],
    aborted: [],
    pieceBytes: 32 << 10,
    beforePiece: async () => undefined,
    mostBytes: 0,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) {
        session.destroy();
      }
      server.close();
      await once(server, "close");
      if (dir !== undefined) {
        rmSync(dir, { recursive: true });
      }
    },
  };
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    stream.setMaxListeners(0);
    void serve(fake, stream, String(headers[":path"]));
  });
  server.listen(socket);
  await once(server, "listening");
  return fake;
}

/** Refuses with a status of gRPC. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, words = "refused") {
    super(words);
    this.status = status;
  }
}

async function serve(fake: FakeContainerd, stream: ServerHttp2Stream, method: string) {
  try {
    const messages = messagesOf(fake, stream);
    if (method.endsWith("Content/Write")) {
      await write(fake, stream, messages);
    } else {
      const { value } = await messages.next();
      const message = value ?? new Uint8Array();
      if (method.endsWith("Content/Read")) {
        await read(fake, stream, message);
      } else {
        begin(stream);
        stream.write(frame(answer(fake, method.split(".").at(-1) ?? "", message)));
      }
    }
    stream.end();
  } catch (error) {
    if (stream.destroyed) {
      return;
    }
    const status = error instanceof Refusal ? String(error.status) : "2";
    const words = error instanceof Error ? encodeURIComponent(error.message) : "";
    const told = { "grpc-status": status, "grpc-message": words };
    if (stream.headersSent) {
      stream.removeAllListeners("wantTrailers");
      stream.once("wantTrailers", () => stream.sendTrailers(told));
      stream.end();
    } else {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", ...told },
        { endStream: true },
      );
    }
  }
}

function begin(stream: ServerHttp2Stream): void {
  if (!stream.headersSent) {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true },
    );
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  }
}

async function* messagesOf(
  fake: FakeContainerd,
  stream: ServerHttp2Stream,
): AsyncGenerator<Uint8Array> {
  let buffer = Buffer.alloc(0);
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    buffer = Buffer.concat([buffer, chunk as Buffer]);
    fake.mostBytes = Math.max(fake.mostBytes, buffer.length);
    while (buffer.length >= 5 && buffer.length >= 5 + buffer.readUInt32BE(1)) {
      const end = 5 + buffer.readUInt32BE(1);
      yield buffer.subarray(5, end);
      buffer = buffer.subarray(end);
    }
  }
}

function answer(fake: FakeContainerd, method: string, message: Uint8Array): Uint8Array {
  switch (method) {
    case "RuntimeService/Version":
      return encodeMessage([2, fake.name], [3, "v0"]);
    case "ImageService/ImageStatus": {
      const asked = askedImage(message);
      const image = fake.cri.find(
        ({ id, repoTags = [], repoDigests = [] }) =>
          [id, ...repoTags, ...repoDigests].includes(asked) &&
          [id, ...repoTags, ...repoDigests].some((name) => fake.images.has(name)),
      );
      return image === undefined ? new Uint8Array() : imageStatusResponse(image);
    }
    case "Content/Info": {
      const digest = textIn(message, 1);
      const { size, labels } = found(fake.blobs.get(digest));
      return encodeMessage([1, encodeMessage([1, digest], [2, BigInt(size)], [5, labels])]);
    }
    case "Content/Delete":
      found(fake.blobs.get(textIn(message, 1)));
      fake.blobs.delete(textIn(message, 1));
      return new Uint8Array();
    case "Content/Abort":
      fake.aborted.push(textIn(message, 1));
      return new Uint8Array();
    case "Images/Get": {
      const name = textIn(message, 1);
      const { target, labels } = found(fake.images.get(name));
      return encodeMessage([1, encodeMessage([1, name], [2, labels], [3, target])]);
    }
    case "Images/Create": {
      const image = messageAt(message, 1) ?? new Uint8Array();
      const name = textIn(image, 1);
      if (fake.images.has(name)) {
        throw new Refusal(6);
      }
      const target = messageAt(image, 3) ?? new Uint8Array();
      found(fake.blobs.get(textIn(target, 2)));
      fake.images.set(name, { target, labels: mapIn(image, 2) });
      return new Uint8Array();
    }
    case "Containers/List":
      return Buffer.concat(
        fake.sandboxes.map((name) => encodeMessage([1, encodeMessage([1, "id"], [3, name])])),
      );
    case "Snapshots/Stat":
      if (!fake.snapshots.has(`${textIn(message, 1)}/${textIn(message, 2)}`)) {
        throw new Refusal(5);
      }
      return new Uint8Array();
    case "Leases/Create":
      fake.leases.add(textIn(message, 1));
      return new Uint8Array();
    case "Leases/Delete":
      fake.leases.delete(textIn(message, 1));
      return new Uint8Array();
    default:
      throw new Refusal(12, method);
  }
}

function found<Value>(value: Value | undefined): Value {
  if (value === undefined) {
    throw new Refusal(5, "not found");
  }
  return value;
}

async function read(fake: FakeContainerd, stream: ServerHttp2Stream, message: Uint8Array) {
  const bytes = found(found(fake.blobs.get(textIn(message, 1))).bytes);
  begin(stream);
  for (let at = numberIn(message, 2); at < bytes.length; at += fake.pieceBytes) {
    await fake.beforePiece();
    const piece = encodeMessage([1, BigInt(at)], [2, bytes.subarray(at, at + fake.pieceBytes)]);
    if (!stream.write(frame(piece))) {
      await Promise.race([once(stream, "drain"), once(stream, "close")]);
    }
    if (stream.destroyed) {
      return;
    }
  }
}

async function write(
  fake: FakeContainerd,
  stream: ServerHttp2Stream,
  messages: AsyncIterable<Uint8Array>,
) {
  const pieces: Uint8Array[] = [];
  for await (const message of messages) {
    pieces.push(Buffer.from(messageAt(message, 6) ?? new Uint8Array()));
    if (numberIn(message, 1) === 2) {
      const bytes = Buffer.concat(pieces);
      const expected = textIn(message, 4);
      if (fake.blobs.has(expected)) {
        throw new Refusal(6);
      }
      if (digestOf(bytes) !== expected || numberIn(message, 3) !== bytes.length) {
        throw new Refusal(9, "unexpected commit digest");
      }
      fake.blobs.set(expected, blobOf(bytes, mapIn(message, 7)));
      fake.committed.push(expected);
    }
    begin(stream);
    stream.write(frame(encodeMessage([4, BigInt(Buffer.concat(pieces).length)])));
  }
}
