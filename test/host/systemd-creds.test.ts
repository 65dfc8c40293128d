import assert from "node:assert/strict";
import { suite } from "uvu";
import { decryptCredential, encryptCredential } from "../../src/host/systemd-creds.ts";
import { standIn } from "./stand-in.ts";

const test = suite("host/systemd-creds");

/** What systemd-creds 252 to 257 says on stderr, and what we make of it. */
const cases: readonly {
  readonly name: string;
  readonly stderr: string;
  readonly reason: RegExp;
  readonly runs: number;
}[] = [
  {
    name: "case 41: no TPM",
    stderr: "TPM2 support not installed: Operation not supported",
    reason: /^this machine has no usable TPM$/,
    runs: 1,
  },
  {
    name: "case 42: another PCR policy",
    stderr:
      "Current policy digest does not match stored policy digest, cancelling TPM2 authentication attempt.",
    reason: /^firmware or Secure Boot state changed; re-seal with `blackstart key add-slot`$/,
    runs: 1,
  },
  {
    name: "case 43: a TPM in lockout is asked once more",
    stderr:
      "Failed to unseal: tpm:warn(2.0): authorizations for objects subject to DA protection are not allowed (TPM_RC_LOCKOUT)",
    reason: /^the TPM is busy or locked out$/,
    runs: 2,
  },
  {
    name: "case 43: a TPM without session contexts is asked once more",
    stderr: "Failed to start session: tpm:warn(2.0): out of memory for session contexts",
    reason: /^the TPM is busy or locked out$/,
    runs: 2,
  },
  {
    name: "case 44: a credential of another name",
    stderr:
      "Credential secret file '/var/lib/systemd/credential.secret' is not located on encrypted media, using anyway.\nEmbedded credential name 'disk-key' does not match filename 'blackstart-key', refusing.",
    reason: /^credential is named disk-key$/,
    runs: 1,
  },
  {
    name: "another host's secret",
    stderr:
      "Credential secret file '/var/lib/systemd/credential.secret' is not located on encrypted media, using anyway.\nDecryption failed (incorrect key?): error:00000000:lib(0)::reason(0)",
    reason: /^the host's secret is not the one that sealed it$/,
    runs: 1,
  },
  { name: "words not seen before", stderr: "Something\nnew", reason: /^new$/, runs: 1 },
];

for (const { name, stderr, reason, runs } of cases) {
  test(name, () => {
    using tool = standIn(
      "systemd-creds",
      `echo run >> "$0.log"; cat >&2 <<'END'\n${stderr}\nEND\nexit 1`,
    );
    const result = decryptCredential("/x.cred", "/");
    assert.ok(result.kind === "failed");
    assert.match(result.reason, reason);
    assert.equal(tool.runs(), runs);
  });
}

test("case 43: the second answer counts", () => {
  using _tool = standIn(
    "systemd-creds",
    'if [ -e "$0.log" ]; then printf key; else echo run > "$0.log"; echo TPM_RC_LOCKOUT >&2; exit 1; fi',
  );
  const result = decryptCredential("/x.cred", "/");
  assert.ok(result.kind === "done");
  assert.equal(result.bytes.toString(), "key");
});

test("a machine without systemd-creds is a reason", () => {
  const path = process.env["PATH"];
  process.env["PATH"] = "/nowhere";
  const result = encryptCredential(Buffer.from("x"), "/");
  process.env["PATH"] = path;
  assert.deepEqual(result, { kind: "failed", reason: "systemd-creds is not installed" });
});

test("the key is passed on stdin and never as a word or a variable", () => {
  using _tool = standIn("systemd-creds", 'echo "$*"; env; cat');
  const result = encryptCredential(Buffer.from("the key"), "/");
  assert.ok(result.kind === "done");
  const [words, ...rest] = result.bytes.toString().split("\n");
  assert.equal(words, "encrypt --with-key=host --name=blackstart-key - -");
  assert.equal(rest.at(-1), "the key");
  assert.ok(!rest.slice(0, -1).join("\n").includes("the key"));
});

test.run();
