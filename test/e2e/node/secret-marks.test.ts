import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { formsOf, placesIn, searchFiles } from "./secret-marks.ts";

const secretMarks = suite("e2e/node/secret-marks");

const mark = `mark?>${randomBytes(18).toString("hex")}`;
const forms = formsOf(new Map([["here", mark]]));

const cases: readonly { readonly name: string; readonly text: (secret: Buffer) => string }[] = [
  { name: "as it is", text: (secret) => `a ${secret} b` },
  ...[0, 1, 2].map((shift) => ({
    name: `in base64, behind ${shift} other bytes`,
    text: (secret: Buffer) => Buffer.from(`${"x".repeat(shift)}${secret}zz`).toString("base64"),
  })),
  {
    name: "in base64 of a URL",
    text: (secret) => Buffer.from(`x${secret}`).toString("base64url"),
  },
  { name: "in hexadecimal", text: (secret) => secret.toString("hex") },
  { name: "as Go prints bytes", text: (secret) => `[1 ${secret.join(" ")} 2]` },
];

for (const { name, text } of cases) {
  secretMarks(`a secret is found ${name}`, () => {
    const shown = text(Buffer.from(mark));
    assert.deepEqual(placesIn(shown, forms), ["here"]);
    assert.deepEqual(placesIn(text(Buffer.from(mark.replace("?", "!"))), forms), []);
    const dir = mkdtempSync(join(tmpdir(), "blackstart-marks-"));
    try {
      writeFileSync(join(dir, "file"), `\0\xff\n\0${shown}\0`, "latin1");
      const found = searchFiles(dir, forms);
      assert.ok(found.length > 0);
      for (const { file, place, offset } of found) {
        assert.deepEqual({ file, place }, { file: "file", place: "here" });
        assert.ok(offset >= 4 && offset < 12, `${offset}`);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}

secretMarks.run();
