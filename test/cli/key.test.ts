import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { describeProtection, makeKey, publishKey } from "../../src/cli/key.ts";
import { readKey } from "../../src/host/credential.ts";
import { standIn } from "../host/stand-in.ts";
import { rejects } from "../rejects.ts";

const test = suite("cli/key");
const keysDir = "etc/blackstart/keys";

test("a plain key is made, private, and read back as the node's key", () => {
  using root = temporary();
  const { kid, slots } = makeKey(root.path, ["plain"]);
  const file = join(root.path, keysDir, `${kid}.plain`);
  assert.deepEqual(slots, [{ kind: "plain", kid, file }]);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(file).size, 32);
  assert.equal(statSync(join(root.path, keysDir)).mode & 0o777, 0o700);
  assert.equal(readKey({ root: root.path, credentialsDir: undefined }).ring.primary.kid, kid);
});

test("a host slot and a plain slot hold the same key", () => {
  using root = temporary();
  if (!hasSystemdCreds(root.path)) {
    return;
  }
  const { kid } = makeKey(root.path, ["host", "plain"]);
  assert.deepEqual(readdirSync(join(root.path, keysDir)).sort(), [
    `${kid}.host.cred`,
    `${kid}.plain`,
  ]);
});

test("an existing key is never replaced", async () => {
  using root = temporary();
  const { kid } = makeKey(root.path, ["plain"]);
  const failure = await rejects(() => makeKey(root.path, ["plain"]), "E_KEY_EXISTS");
  assert.equal(failure.exit, 73);
  assert.match(failure.message, new RegExp(kid));
  assert.deepEqual(readdirSync(join(root.path, keysDir)), [`${kid}.plain`]);
});

const broken: readonly { readonly name: string; readonly script: string }[] = [
  { name: "cannot seal", script: "echo 'Failed to seal' >&2; exit 1" },
  { name: "seals and cannot unwrap", script: '[ "$1" = encrypt ] || exit 1; cat' },
  {
    name: "gives another key back",
    script: '[ "$1" = encrypt ] && cat || head -c 32 /dev/urandom',
  },
];

for (const { name, script } of broken) {
  test(`case 46: a host slot that ${name} is E_KEY_SLOT, and no key is left`, async () => {
    using root = temporary();
    using _tool = standIn("systemd-creds", script);
    const failure = await rejects(() => makeKey(root.path, ["plain", "host"]), "E_KEY_SLOT");
    assert.equal(failure.exit, 73);
    assert.match(failure.message, /--slot plain/);
    assert.deepEqual(readdirSync(join(root.path, keysDir)), []);
  });
}

test("a directory where others can plant a key is refused", async () => {
  using root = temporary();
  mkdirSync(join(root.path, keysDir), { recursive: true });
  chmodSync(join(root.path, keysDir), 0o777);
  await rejects(() => makeKey(root.path, ["plain"]), "E_PERMS");
});

test("publishing on a disk is E_NOT_MEMORY", async () => {
  using root = temporary();
  if (isMemory(root.path)) {
    console.log(`SKIPPED publishing on a disk: ${tmpdir()} is memory`);
    return;
  }
  makeKey(root.path, ["plain"]);
  const failure = await rejects(() => publishKey(root.path), "E_NOT_MEMORY");
  assert.equal(failure.exit, 78);
  assert.deepEqual(readdirSync(join(root.path, "run/blackstart")), []);
});

test("the published key is private and what the units read", () => {
  using root = temporaryMemory();
  if (root === undefined) {
    return;
  }
  const { kid } = makeKey(root.path, ["plain"]);
  writeReasons(root.path);
  for (let run = 0; run < 2; run += 1) {
    const published = publishKey(root.path);
    assert.deepEqual(published, { kind: "published", kid, slot: "plain", passed: [] });
  }
  assert.deepEqual(readdirSync(join(root.path, "run/blackstart")), ["key"]);
  assert.equal(statSync(join(root.path, "run/blackstart/key")).mode & 0o777, 0o400);
  const { ring, source } = readKey({ root: root.path, credentialsDir: undefined });
  assert.deepEqual([ring.primary.kid, source], [kid, "published"]);
});

test("a slot that does not open is passed over for one that does", () => {
  using root = temporaryMemory();
  if (root === undefined) {
    return;
  }
  using _tool = standIn("systemd-creds", "exit 1");
  const { kid } = makeKey(root.path, ["plain"]);
  writeFileSync(join(root.path, keysDir, `${kid}.tpm2.cred`), "x", { mode: 0o600 });
  const passed = ["tpm2: systemd-creds ended by an error"];
  assert.deepEqual(publishKey(root.path), { kind: "published", kid, slot: "plain", passed });
});

test("with no slot that opens, each one's reason is published and no key", () => {
  using root = temporaryMemory();
  if (root === undefined) {
    return;
  }
  using _tool = standIn("systemd-creds", "echo 'TPM2 support not installed.' >&2; exit 1");
  const { slots } = makeKey(root.path, ["plain"]);
  publishKey(root.path);
  const [plain] = slots;
  chmodSync(plain?.file ?? "", 0o644);
  writeFileSync(join(root.path, keysDir, "AAAAAAAAAAAAAAAA.tpm2.cred"), "x", { mode: 0o600 });
  assert.equal(publishKey(root.path).kind, "none");
  assert.deepEqual(readdirSync(join(root.path, "run/blackstart")), ["key.reasons"]);
  const reasons = readFileSync(join(root.path, "run/blackstart/key.reasons"), "utf8").split("\n");
  assert.match(reasons[0] ?? "", /^tpm2: this machine has no usable TPM$/);
  assert.match(reasons[1] ?? "", /^plain: mode 0644/);
});

test("no slot at all is a reason as well", () => {
  using root = temporaryMemory();
  if (root === undefined) {
    return;
  }
  const published = publishKey(root.path);
  assert.ok(published.kind === "none");
  assert.match(published.reasons.join(), /key init/);
});

test("protection is told as it is", () => {
  using root = temporary();
  assert.match(describeProtection(root.path), /there is no key/);
  const { kid } = makeKey(root.path, ["plain"]);
  assert.match(
    describeProtection(root.path),
    /^at rest: .*the key \(plain file\) is beside the data/,
  );
  writeFileSync(join(root.path, keysDir, `${kid}.tpm2.cred`), "x");
  assert.match(describeProtection(root.path), /beside the data/);
});

function hasSystemdCreds(root: string): boolean {
  const args = ["--with-key=host", "--name=x", "encrypt", "-", "-"];
  const env = { ...process.env, SYSTEMD_CREDENTIAL_SECRET: join(root, "probe.secret") };
  const works = spawnSync("systemd-creds", args, { input: "x", env }).status === 0;
  if (!works) {
    console.log("SKIPPED the host slot: systemd-creds does not work here");
  }
  return works;
}

function writeReasons(root: string): void {
  mkdirSync(join(root, "run/blackstart"), { recursive: true });
  writeFileSync(join(root, "run/blackstart/key.reasons"), "old\n");
}

function isMemory(dir: string): boolean {
  return statfsSync(dir).type === 0x01021994;
}

function temporary() {
  return mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
}

/** A root that lies in memory; undefined, and said so, where there is none. */
function temporaryMemory() {
  for (const place of [tmpdir(), "/dev/shm"]) {
    try {
      if (isMemory(place)) {
        return mkdtempDisposableSync(join(place, "blackstart-"));
      }
    } catch {
      // Not there: the next one.
    }
  }
  console.log("SKIPPED publishing: neither the temporary directory nor /dev/shm is a tmpfs");
  return undefined;
}

test.run();
