import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { suite } from "uvu";
import { readObjects } from "../../src/capture/capture.ts";
import { rejects } from "../rejects.ts";

const capture = suite("capture/capture");

const none = { stdin: Readable.from([]) };
const secret = (name: string) =>
  `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}, namespace: ns}\ndata: {a: YQ==}\n`;

async function inTemp(run: (dir: string) => Promise<unknown>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "capture-"));
  try {
    await run(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

capture("reads of a directory what kubectl would, in the order of names", () =>
  inTemp(async (dir) => {
    for (const name of ["c.json", "b.yml", "a.yaml"]) {
      writeFileSync(join(dir, name), name === "c.json" ? "" : secret(name.slice(0, 1)));
    }
    for (const name of [".hidden.yaml", "x.txt", "y.yaml~", "README", "z.YAML"]) {
      writeFileSync(join(dir, name), "{ not read");
    }
    mkdirSync(join(dir, "below.yaml"));
    writeFileSync(join(dir, "below.yaml", "d.yaml"), "{ not read");
    symlinkSync("a.yaml", join(dir, "link.yaml"));
    const { objects, files } = await readObjects([dir], none);
    assert.deepEqual(
      objects.map(({ metadata }) => metadata.name),
      ["a", "b"],
    );
    assert.deepEqual(
      files,
      ["a.yaml", "b.yml", "c.json", "link.yaml"].map((name) => join(dir, name)),
    );
  }),
);

capture("reads the manifests of the example", async () => {
  const example = new URL("../../examples/self-hosted", import.meta.url).pathname;
  const { objects, files } = await readObjects([example], none);
  assert.ok(files.length > 10 && files.every((file) => file.endsWith(".yaml")));
  assert.equal(objects.filter(({ kind }) => kind === "Pod").length, 18);
});

capture("reads files, standard input and a pipe together", () =>
  inTemp(async (dir) => {
    const pipe = join(dir, "pipe");
    execFileSync("mkfifo", [pipe]);
    const writer = spawn("sh", ["-c", `printf %s "$0" > "$1"`, secret("piped"), pipe]);
    const file = join(dir, "any-name");
    writeFileSync(file, secret("filed"));
    const read = await readObjects([file, "-", pipe], {
      stdin: Readable.from(Array.from(Buffer.from(secret("in")), (byte) => Buffer.of(byte))),
    });
    writer.kill();
    assert.deepEqual(
      read.objects.map(({ metadata }) => metadata.name),
      ["filed", "in", "piped"],
    );
    assert.deepEqual(read.files, [file, "-", pipe]);
  }),
);

capture("takes a file with an empty list beside others", () =>
  inTemp(async (dir) => {
    writeFileSync(join(dir, "a"), secret("a"));
    writeFileSync(join(dir, "b"), '{"apiVersion":"v1","kind":"List","items":[]}');
    const { objects } = await readObjects([join(dir, "b"), join(dir, "a")], none);
    assert.equal(objects.length, 1);
  }),
);

capture("refuses what is not there or holds no object, naming it", () =>
  inTemp(async (dir) => {
    mkdirSync(join(dir, "empty"));
    mkdirSync(join(dir, "other"));
    writeFileSync(join(dir, "other", "a.yaml"), "apiVersion: apps/v1\nkind: Deployment\n");
    writeFileSync(join(dir, "file"), secret("a"));
    writeFileSync(join(dir, "nothing"), "# nothing\n");
    symlinkSync("gone", join(dir, "dangling"));
    for (const name of ["gone", "empty", "other", "nothing", "dangling", "file/below"]) {
      const failure = await rejects(() => readObjects([join(dir, name)], none), "E_NO_INPUT");
      assert.ok(failure.text.where?.includes(join(dir, name)), failure.message);
      assert.equal(failure.exit, 66);
    }
    await rejects(() => readObjects([join(dir, "file"), join(dir, "empty")], none), "E_NO_INPUT");
    await rejects(() => readObjects(["-"], none), "E_NO_INPUT");
    await rejects(() => readObjects(["x".repeat(5_000)], none), "E_NO_INPUT");
  }),
);

capture("names both files when they differ about one object", () =>
  inTemp(async (dir) => {
    writeFileSync(join(dir, "a.yaml"), secret("s"));
    writeFileSync(join(dir, "b.yaml"), `# x\n---\n${secret("s").replace("YQ==", "Yg==")}`);
    const failure = await rejects(() => readObjects([dir], none), "E_DUPLICATE");
    assert.equal(failure.text.where, `${join(dir, "a.yaml")}:1, ${join(dir, "b.yaml")}:3`);
  }),
);

capture("refuses more than 64 MiB, in one file, in several and from standard input", () =>
  inTemp(async (dir) => {
    const half = Buffer.alloc(33 * 1_048_576, "#\n");
    const list = '{"apiVersion":"v1","kind":"List","items":[]}'.padEnd(33 * 1_048_576);
    writeFileSync(join(dir, "a.json"), list);
    await rejects(() => readObjects([join(dir, "a.json")], none), "E_NO_INPUT");
    await rejects(() => readObjects([join(dir, "a.json"), join(dir, "a.json")], none), "E_TOO_BIG");
    writeFileSync(join(dir, "sparse"), "");
    execFileSync("truncate", ["-s", "1T", join(dir, "sparse")]);
    await rejects(() => readObjects([join(dir, "sparse")], none), "E_TOO_BIG");
    await rejects(() => readObjects(["/dev/zero"], none), "E_TOO_BIG");
    const stdin = Readable.from([half, half]);
    await rejects(() => readObjects(["-"], { stdin }), "E_TOO_BIG");
  }),
);

capture("refuses bytes that are not UTF-8", () =>
  inTemp(async (dir) => {
    writeFileSync(join(dir, "a"), Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]));
    await rejects(() => readObjects([join(dir, "a")], none), "E_PARSE");
  }),
);

capture("refuses a socket", () =>
  inTemp(async (dir) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(dir, "socket"), resolve));
    try {
      await rejects(() => readObjects([join(dir, "socket")], none), "E_NOT_REGULAR");
    } finally {
      server.close();
    }
  }),
);

capture("says which file may not be read", () =>
  inTemp(async (dir) => {
    writeFileSync(join(dir, "a.yaml"), secret("a"));
    chmodSync(join(dir, "a.yaml"), 0o000);
    chmodSync(dir, 0o755);
    const { uid } = userInfo();
    if (uid === 0) {
      process.seteuid?.(65_534);
    }
    try {
      const failure = await rejects(() => readObjects([dir], none), "E_PERMS");
      assert.equal(failure.text.where, join(dir, "a.yaml"));
    } finally {
      process.seteuid?.(uid);
    }
  }),
);

capture.run();
