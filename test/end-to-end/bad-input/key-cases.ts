import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StoreKey } from "../../../src/model/store-key.ts";
import type { NodeRoot } from "../node-root.ts";
import type { BadInput } from "./bad-input.ts";

/** Replaces the bytes of the node's plain slot. */
function replaceKey(node: NodeRoot, bytes: string | Uint8Array): void {
  const [name = ""] = readdirSync(node.keys);
  writeFileSync(join(node.keys, name), bytes, { mode: 0o600 });
}

/** Only a slot that the stand-in for systemd-creds answers for. */
function onlySealedSlot(node: NodeRoot, kind: "host" | "tpm2"): void {
  const { kid } = node.key();
  for (const name of readdirSync(node.keys)) {
    rmSync(join(node.keys, name));
  }
  writeFileSync(join(node.keys, `${kid}.${kind}.cred`), "sealed", { mode: 0o600 });
}

/** A shell script in the place of systemd-creds. */
function standIn(node: NodeRoot, script: string) {
  mkdirSync(node.at("bin"));
  writeFileSync(node.at("bin/systemd-creds"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { env: { PATH: `${node.at("bin")}:/usr/sbin:/usr/bin:/sbin:/bin` } };
}

/** Every key that the store was sealed for is gone; what remains opens nothing. */
const keyless = { exit: 78, opens: undefined } as const;

const tpmRefusals = [
  {
    case: 41,
    name: "there is no TPM",
    stderr: "TPM2 support not installed.",
    says: /tpm2: this machine has no usable TPM/,
  },
  {
    case: 42,
    name: "the firmware has changed",
    stderr: "Failed to unseal secret using TPM2: policy digest does not match",
    says: /tpm2: firmware or Secure Boot state changed; re-seal/,
  },
  {
    case: 43,
    name: "the TPM is in lockout",
    stderr: "Failed to unseal: TPM_RC_LOCKOUT",
    says: /tpm2: the TPM is busy or locked out/,
  },
] as const;

export const keyCases: readonly BadInput[] = [
  {
    case: 36,
    name: "there is no key",
    given: (node) => rmSync(node.keys, { recursive: true }),
    code: "E_NO_KEY",
    ...keyless,
    says: /run\/blackstart\/key: file missing.*blackstart key init/,
  },
  {
    case: 36,
    name: "no slot opens",
    given: (node) => {
      onlySealedSlot(node, "host");
      return standIn(node, "echo 'Failed to open credential.secret' >&2; exit 1");
    },
    code: "E_NO_KEY",
    ...keyless,
    says: /host.cred: the host's secret is not the one that sealed it/,
  },
  {
    case: 37,
    name: "the unit is given NOKEY",
    given: (node) => {
      rmSync(node.keys, { recursive: true });
      mkdirSync(node.at("run/blackstart"), { recursive: true, mode: 0o700 });
      const reasons = "tpm2: policy mismatch\nhost: file missing\n";
      writeFileSync(node.at("run/blackstart/key.reasons"), reasons, { mode: 0o400 });
      mkdirSync(node.at("credentials"));
      writeFileSync(node.at("credentials/store-key"), "NOKEY", { mode: 0o400 });
      return { env: { CREDENTIALS_DIRECTORY: node.at("credentials") } };
    },
    code: "E_NO_KEY",
    ...keyless,
    says: /blackstart-key.service could not unwrap: tpm2: policy mismatch; host: file missing/,
  },
  ...[
    { name: "31 bytes", bytes: new Uint8Array(31).fill(7), says: /expected 32 raw bytes, got 31/ },
    { name: "33 bytes", bytes: new Uint8Array(33).fill(7), says: /got 33/ },
    { name: "hexadecimal", bytes: "0123456789abcdef".repeat(4), says: /got 64 \(looks like hex/ },
    {
      name: "hexadecimal and a line end",
      bytes: `${"0123456789abcdef".repeat(4)}\n`,
      says: /got 65 \(looks like hex/,
    },
  ].map(
    ({ name, bytes, says }): BadInput => ({
      case: 38,
      name: `the key is ${name}`,
      given: (node) => replaceKey(node, bytes),
      code: "E_KEY_LENGTH",
      ...keyless,
      says,
    }),
  ),
  {
    case: 39,
    name: "the key is all zeros",
    given: (node) => replaceKey(node, new Uint8Array(32)),
    code: "E_KEY_WEAK",
    ...keyless,
  },
  {
    case: 40,
    name: "the key is another",
    given: (node) => {
      const key = StoreKey.generate();
      rmSync(node.keys, { recursive: true });
      mkdirSync(node.keys, { mode: 0o700 });
      writeFileSync(join(node.keys, `${key.kid}.plain`), key.expose(), { mode: 0o600 });
    },
    code: "E_NO_KEY",
    ...keyless,
    says: /checkpoint.* needs key [\w-]{16}.*[\w-]{16}/,
  },
  ...tpmRefusals.map(
    ({ name, stderr, says, ...one }): BadInput => ({
      case: one.case,
      name: `${name}, and another slot opens`,
      given: (node) => {
        writeFileSync(join(node.keys, "AAAAAAAAAAAAAAAA.tpm2.cred"), "sealed", { mode: 0o600 });
        return standIn(node, `echo '${stderr}' >&2; exit 1`);
      },
      words: ["key", "publish"],
      code: "W_KEY",
      exit: 0,
      isSaid: true,
      says,
      after: (node) =>
        assert.ok(readFileSync(node.at("run/blackstart/key")).equals(node.key().expose())),
    }),
  ),
  ...tpmRefusals.map(
    ({ name, stderr, says, ...one }): BadInput => ({
      case: one.case,
      name: `${name}, and there is no other slot`,
      given: (node) => {
        onlySealedSlot(node, "tpm2");
        return standIn(node, `echo '${stderr}' >&2; echo run >> "$0.log"; exit 1`);
      },
      code: "E_NO_KEY",
      ...keyless,
      says: new RegExp(says.source.replace("tpm2: ", "tpm2.cred: ")),
      after: (node) => {
        const runs = readFileSync(node.at("bin/systemd-creds.log"), "utf8").split("\n").length - 1;
        assert.equal(runs, one.case === 43 ? 2 : 1);
      },
    }),
  ),
  {
    case: 44,
    name: "the credential is of another name",
    given: (node) => {
      onlySealedSlot(node, "host");
      const words = "Embedded credential name 'other' does not match filename 'blackstart-key'";
      return standIn(node, `echo "${words}, refusing." >&2; exit 1`);
    },
    code: "E_NO_KEY",
    ...keyless,
    says: /credential is named other/,
  },
  {
    case: 45,
    name: "others can read the plain key",
    given: (node) => {
      const [name = ""] = readdirSync(node.keys);
      chmodSync(join(node.keys, name), 0o644);
    },
    code: "E_KEY_PERMS",
    exit: 77,
    opens: undefined,
    says: /mode 0644/,
  },
  ...[
    { name: "cannot be made", script: "echo 'Failed to seal' >&2; exit 1" },
    {
      name: "does not give the key back",
      script: 'if [ "$1" = encrypt ]; then cat; else head -c 32 /dev/urandom; fi',
    },
  ].map(
    ({ name, script }): BadInput => ({
      case: 46,
      name: `the new slot ${name}`,
      on: "bare",
      given: (node) => standIn(node, script),
      words: ["key", "init"],
      code: "E_KEY_SLOT",
      exit: 73,
      after: (node) => assert.deepEqual(readdirSync(node.keys), []),
    }),
  ),
  {
    case: 46,
    name: "there is a key already",
    words: ["key", "init", "--slot", "plain"],
    code: "E_KEY_EXISTS",
    exit: 73,
  },
];
