import assert from "node:assert/strict";
import { Failure, type FailureCode } from "../src/errors.ts";

/** Asserts that a call ends in a `Failure` of that code; gives the failure. */
export async function rejects(run: () => unknown, code: FailureCode): Promise<Failure> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    assert.equal(error.code, code, `${error.code}: ${error.message}`);
    return error;
  }
  assert.fail(`nothing was thrown, ${code} was expected`);
}
