import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** A call as the server got it. */
export interface AskedCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  /** Without its frame. */
  readonly message: Uint8Array;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** What the server answers; a function answers in its own way, or not at all. */
export type FakeAnswer =
  | { readonly message: Uint8Array }
  | { readonly status: number; readonly words?: string }
  | ((stream: ServerHttp2Stream) => void);

/** A gRPC server on a Unix socket, in a directory of its own. */
export interface FakeRuntime extends AsyncDisposable {
  readonly path: string;
  readonly asked: AskedCall[];
  /** How many connections are open. */
  connections(): number;
  answer: (call: AskedCall) => FakeAnswer;
}

/**
 * Starts a server that answers as `answer` says.
 *
 * @param path  of its socket, whose directory exists; undefined: in a new temporary directory
 */
export async function fakeRuntime(
  answer: FakeRuntime["answer"],
  path?: string,
): Promise<FakeRuntime> {
  const dir = path === undefined ? mkdtempSync(join(tmpdir(), "runtime-")) : undefined;
  const socket = path ?? join(dir ?? "", "runtime.sock");
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  const runtime: FakeRuntime = {
    path: socket,
    asked: [],
    answer,
    connections: () => sessions.size,
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
    const chunks: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("end", () => {
      if (chunks.length === 0) {
        return; // its connection has ended before it was whole
      }
      const message = Buffer.concat(chunks).subarray(5);
      const call = { method: String(headers[":path"]), message, headers };
      runtime.asked.push(call);
      send(stream, runtime.answer(call));
    });
  });
  server.listen(socket);
  await once(server, "listening");
  return runtime;
}

/** Sends an answer as a gRPC server does: an error has no body, and its status among the first headers. */
export function send(stream: ServerHttp2Stream, answer: FakeAnswer): void {
  if (typeof answer === "function") {
    answer(stream);
    return;
  }
  const head = { ":status": 200, "content-type": "application/grpc" };
  if ("status" in answer) {
    const words = answer.words === undefined ? {} : { "grpc-message": answer.words };
    stream.respond(
      { ...head, "grpc-status": String(answer.status), ...words },
      { endStream: true },
    );
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(frame(answer.message));
}

/** The bytes of one uncompressed message. */
export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** An image as the runtime knows it, and the names that mean it besides its id, tags and digests. */
export interface FakeImage {
  readonly id: string;
  readonly repoTags?: readonly string[];
  readonly repoDigests?: readonly string[];
  readonly also?: readonly string[];
  readonly size?: number;
  readonly pinned?: boolean;
}

/** Answers ImageStatus from a list that may change meanwhile, as containerd does; UNIMPLEMENTED all else. */
export function answerImages(images: readonly FakeImage[]): FakeRuntime["answer"] {
  return ({ method, message }) => {
    if (method !== "/runtime.v1.ImageService/ImageStatus") {
      return { status: 12 };
    }
    const name = askedImage(message);
    const image = images.find(({ id, repoTags = [], repoDigests = [], also = [] }) =>
      [id, ...repoTags, ...repoDigests, ...also].includes(name),
    );
    return { message: image === undefined ? new Uint8Array() : imageStatusResponse(image) };
  };
}

/** What an ImageStatusRequest asks for. */
export function askedImage(message: Uint8Array): string {
  const request = new BinaryReader(message);
  request.tag();
  const spec = new BinaryReader(request.bytes());
  spec.tag();
  return spec.string();
}

/** Source: k8s.io/cri-api v0.37.2 `pkg/apis/runtime/v1/api.proto`, messages Image and ImageStatusResponse. */
export function imageStatusResponse(image: FakeImage): Uint8Array {
  const { id, repoTags = [], repoDigests = [], size = 1, pinned = false } = image;
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(id);
  for (const tag of repoTags) {
    writer.tag(2, WireType.LengthDelimited).string(tag);
  }
  for (const digest of repoDigests) {
    writer.tag(3, WireType.LengthDelimited).string(digest);
  }
  writer.tag(4, WireType.Varint).uint64(size).tag(8, WireType.Varint).bool(pinned);
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(writer.finish()).finish();
}
