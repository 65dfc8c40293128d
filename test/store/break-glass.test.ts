import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { parseRecipients } from "../../src/store/recipients.ts";
import { temporaryStore } from "./temporary-store.ts";

/*
 * A person with the offline private key and no blackstart at all: independent implementations open what the
 * store committed. José is Debian's `jose`, jwcrypto is Debian's `python3-jwcrypto`.
 */
const test = suite("store/break-glass");

type Tool = "jose" | "jwcrypto";

const program = `
import sys
from jwcrypto import jwe, jwk
token = jwe.JWE()
token.deserialize(open(sys.argv[1]).read(), jwk.JWK.from_json(open(sys.argv[2]).read()))
sys.stdout.buffer.write(token.payload)
`;

const commands: Readonly<Record<Tool, (file: string, key: string) => readonly string[]>> = {
  jose: (file, key) => ["jose", "jwe", "dec", "-i", file, "-k", key],
  jwcrypto: (file, key) => ["/usr/bin/python3", "-c", program, file, key],
};

/** Why a tool cannot be used here, or undefined. */
const missing: Readonly<Record<Tool, string | undefined>> = {
  jose: works("jose", "alg") ? undefined : "Debian's jose is not installed",
  jwcrypto: works("/usr/bin/python3", "-c", "import jwcrypto")
    ? undefined
    : "Debian's python3-jwcrypto is not installed",
};

const curve = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });
const keys = {
  "P-256": curve("P-256"),
  "P-384": curve("P-384"),
  "P-521": curve("P-521"),
  "RSA 3072": generateKeyPairSync("rsa", { modulusLength: 3072 }),
};

/** José 11 has neither RSA-OAEP-256 nor X25519. */
const cases: readonly { readonly tool: Tool; readonly name: keyof typeof keys }[] = [
  { tool: "jose", name: "P-256" },
  { tool: "jose", name: "P-384" },
  { tool: "jose", name: "P-521" },
  { tool: "jwcrypto", name: "P-256" },
  { tool: "jwcrypto", name: "RSA 3072" },
];

for (const { tool, name } of cases) {
  test(`${tool} opens a generation with the ${name} break-glass key alone`, async () => {
    if (missing[tool] !== undefined) {
      console.log(`SKIPPED ${tool} with ${name}: ${missing[tool]}`);
      return;
    }
    using store = temporaryStore();
    const text = JSON.stringify({ kind: "Checkpoint", secret: "naïve".repeat(10_000) });
    const { file } = await store.commit(text, { recipients: recipients() });
    const key = join(dirname(store.dir), "private.jwk");
    writeFileSync(key, JSON.stringify(keys[name].privateKey.export({ format: "jwk" })));
    const [command = "", ...words] = commands[tool](file, key);
    const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, text);
  });
}

test("a key that is no recipient opens nothing", async () => {
  if (missing.jose !== undefined) {
    console.log(`SKIPPED a foreign key: ${missing.jose}`);
    return;
  }
  using store = temporaryStore();
  const { file } = await store.commit("text", { recipients: recipients() });
  const key = join(dirname(store.dir), "private.jwk");
  writeFileSync(key, JSON.stringify(curve("P-256").privateKey.export({ format: "jwk" })));
  const [command = "", ...words] = commands.jose(file, key);
  const { status, stdout } = spawnSync(command, words, { encoding: "utf8" });
  assert.notEqual(status, 0);
  assert.equal(stdout, "");
});

/** Every public key: each tool has to find its own among the recipients. */
function recipients() {
  const all = Object.values(keys).map(({ publicKey }) => publicKey.export({ format: "jwk" }));
  return parseRecipients(JSON.stringify({ keys: all }), "recipients.jwk");
}

function works(command: string, ...words: readonly string[]): boolean {
  return spawnSync(command, words).status === 0;
}

test.run();
