import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { suite } from "uvu";
import type { FailureCode } from "../../src/errors.ts";
import { readKey } from "../../src/host/credential.ts";
import { StoreKey } from "../../src/model/store-key.ts";
import { rejects } from "../rejects.ts";
import { standIn } from "./stand-in.ts";

const test = suite("host/credential");
const key = StoreKey.generate();
const raw = Buffer.from(key.expose());

test("the unit's credential comes first", () => {
  using node = temporaryNode();
  node.write("credentials/store-key", raw);
  node.write("run/blackstart/key", StoreKey.generate().expose());
  const { ring, source, warnings } = readKey(node.inUnit);
  assert.deepEqual([ring.primary.kid, source, warnings], [key.kid, "credential", []]);
});

test("then the published key, then a plain slot", () => {
  using node = temporaryNode();
  node.write(`etc/blackstart/keys/${key.kid}.plain`, raw);
  assert.equal(readKey(node.byHand).source, "plain");
  node.write("run/blackstart/key", StoreKey.generate().expose());
  assert.equal(readKey(node.byHand).source, "published");
});

test("a key that a unit was not given is taken from the plain slot", () => {
  using node = temporaryNode();
  node.write("credentials/store-key", "NOKEY");
  node.write(`etc/blackstart/keys/${key.kid}.plain`, raw);
  assert.equal(readKey(node.inUnit).source, "plain");
});

test("case 36: no key at all is E_NO_KEY and lists what was tried", async () => {
  using node = temporaryNode();
  const failure = await rejects(() => readKey(node.byHand), "E_NO_KEY");
  assert.equal(failure.exit, 78);
  assert.match(
    failure.message,
    /run\/blackstart\/key: file missing; .*keys: no slot\. .*key init.*put its slot back/,
  );
});

test("case 36: a slot that cannot be unwrapped is listed with its reason", async () => {
  using node = temporaryNode();
  using _tool = standIn("systemd-creds", "echo 'TPM2 support not installed.' >&2; exit 1");
  node.write(`etc/blackstart/keys/${key.kid}.tpm2.cred`, "sealed");
  const failure = await rejects(() => readKey(node.byHand), "E_NO_KEY");
  assert.match(failure.message, /tpm2\.cred: this machine has no usable TPM/);
});

test("case 37: NOKEY is E_NO_KEY with the key unit's own reasons", async () => {
  using node = temporaryNode();
  node.write("credentials/store-key", "NOKEY");
  node.write("run/blackstart/key.reasons", "tpm2: policy mismatch\nhost: file missing\n");
  const failure = await rejects(() => readKey(node.inUnit), "E_NO_KEY");
  assert.match(
    failure.message,
    /blackstart-key.service could not unwrap: tpm2: policy mismatch; host: file missing/,
  );
});

const shapes: readonly {
  readonly name: string;
  readonly bytes: Uint8Array | string;
  readonly code: FailureCode;
  readonly says: RegExp;
}[] = [
  { name: "31 bytes", bytes: raw.subarray(1), code: "E_KEY_LENGTH", says: /32 raw bytes, got 31/ },
  {
    name: "33 bytes",
    bytes: Buffer.concat([raw, raw.subarray(0, 1)]),
    code: "E_KEY_LENGTH",
    says: /got 33/,
  },
  { name: "64 bytes", bytes: Buffer.concat([raw, raw]), code: "E_KEY_LENGTH", says: /got 64/ },
  {
    name: "hexadecimal with a newline",
    bytes: `${raw.toString("hex")}\n`,
    code: "E_KEY_LENGTH",
    says: /got 65 \(looks like hex\)/,
  },
  {
    name: "base64",
    bytes: raw.toString("base64"),
    code: "E_KEY_LENGTH",
    says: /got 44 \(looks like base64\)/,
  },
  {
    name: "a newline after the key",
    bytes: Buffer.concat([Buffer.alloc(32, 0xfe), Buffer.from("\n")]),
    code: "E_KEY_LENGTH",
    says: /got 33 \(ends with a newline\)/,
  },
  { name: "empty", bytes: "", code: "E_KEY_LENGTH", says: /got 0/ },
  { name: "all zero", bytes: Buffer.alloc(32), code: "E_KEY_WEAK", says: /not random/ },
];

for (const { name, bytes, code, says } of shapes) {
  test(`case ${code === "E_KEY_WEAK" ? 39 : 38}: a key that is ${name} is ${code}`, async () => {
    using node = temporaryNode();
    node.write("credentials/store-key", bytes);
    const failure = await rejects(() => readKey(node.inUnit), code);
    assert.equal(failure.exit, 78);
    assert.match(failure.message, says);
    assert.ok(!failure.message.includes(raw.toString("hex")));
  });
}

test("case 45: a plain slot that others can read is refused", async () => {
  using node = temporaryNode();
  const file = node.write(`etc/blackstart/keys/${key.kid}.plain`, raw);
  chmodSync(file, 0o644);
  const failure = await rejects(() => readKey(node.byHand), "E_KEY_PERMS");
  assert.equal(failure.exit, 77);
});

test("a source that is passed over for a reason is told when another one has the key", () => {
  using node = temporaryNode();
  node.write("credentials/store-key", "short");
  node.write("run/blackstart/key", raw);
  const { source, warnings } = readKey(node.inUnit);
  assert.equal(source, "published");
  assert.deepEqual(
    warnings.map(({ code, message }) => [code, message.split(":")[0]]),
    [["W_KEY", "E_KEY_LENGTH"]],
  );
});

test("a slot named after another key is told", () => {
  using node = temporaryNode();
  node.write("etc/blackstart/keys/AAAAAAAAAAAAAAAA.plain", raw);
  const { ring, warnings } = readKey(node.byHand);
  assert.equal(ring.primary.kid, key.kid);
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ["W_KEY"],
  );
  assert.match(warnings[0]?.message ?? "", new RegExp(`rename it to ${key.kid}.plain`));
});

test("other keys of the node are found by kid, a costly slot only when it is asked for", () => {
  using node = temporaryNode();
  const old = StoreKey.generate();
  const older = StoreKey.generate();
  const hex = Buffer.from(older.expose()).toString("hex");
  using tool = standIn("systemd-creds", `echo run >> "$0.log"; echo ${hex} | xxd -r -p`);
  node.write("run/blackstart/key", raw);
  node.write(`etc/blackstart/keys/${old.kid}.plain`, old.expose());
  node.write(`etc/blackstart/keys/${older.kid}.host.cred`, "sealed");
  const { ring } = readKey(node.byHand);
  assert.equal(ring.find(old.kid)?.kid, old.kid);
  assert.equal(tool.runs(), 0);
  assert.equal(ring.find(older.kid)?.kid, older.kid);
  assert.equal(ring.find(older.kid)?.kid, older.kid);
  assert.equal(tool.runs(), 1);
  assert.equal(ring.find("BBBBBBBBBBBBBBBB"), undefined);
  assert.deepEqual(ring.kids(), [key.kid, old.kid, older.kid]);
});

test("in a unit no process is started for a slot", async () => {
  using node = temporaryNode();
  using tool = standIn("systemd-creds", 'echo run >> "$0.log"; exit 1');
  node.write(`etc/blackstart/keys/${key.kid}.host.cred`, "sealed");
  await rejects(() => readKey(node.inUnit), "E_NO_KEY");
  assert.equal(tool.runs(), 0);
});

test("a key shows its kid and never its bytes", () => {
  const shown = `${inspect(key, { depth: 9, showHidden: true })} ${JSON.stringify(key)} ${key}`;
  assert.match(shown, new RegExp(key.kid));
  for (const encoding of ["hex", "base64", "latin1"] as const) {
    assert.ok(!shown.includes(raw.toString(encoding).slice(0, 8)), encoding);
  }
});

test("the kid is the start of the RFC 7638 thumbprint", () => {
  // Source: José 11, `jose jwk thp` of the oct key 00 01 … 1f.
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => index);
  assert.equal(StoreKey.parse(bytes, "x").kid, "WqjPPRvAP8oYbAqC");
});

function temporaryNode() {
  const parent = mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
  const root = parent.path;
  return {
    byHand: { root, credentialsDir: undefined },
    inUnit: { root, credentialsDir: join(root, "credentials") },
    write(name: string, bytes: Uint8Array | string): string {
      const file = join(root, name);
      mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
      writeFileSync(file, bytes, { mode: 0o600 });
      return file;
    },
    [Symbol.dispose]: () => parent.remove(),
  };
}

test.run();
