/*
 * Commits one generation and prints `ok N`, or the failure's code and message. For tests that limit, kill or
 * fail a commit from outside: commit-once.ts DIR KEY_HEX CONTENT_BYTES
 */
import { Failure } from "../../src/errors.ts";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { commitGeneration } from "../../src/store/commit.ts";

const [dir = "", keyHex = "", size = "0"] = process.argv.slice(2);
const ring = ringOf(StoreKey.parse(Buffer.from(keyHex, "hex"), "argument"));
try {
  const { generation, warnings } = await commitGeneration(
    dir,
    { plaintext: Buffer.alloc(Number(size), "x"), node: "n1", capturedAt: "2026-01-02T03:04:05Z" },
    ring,
    [],
    { keep: 2 },
  );
  console.log(`ok ${generation} ${JSON.stringify(warnings)}`);
} catch (error) {
  if (!(error instanceof Failure)) {
    throw error;
  }
  console.log(`${error.code} ${error.message}`);
  process.exitCode = error.exit;
}
