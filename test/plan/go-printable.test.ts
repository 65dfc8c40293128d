import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite } from "uvu";
import { isGoPrintable } from "../../src/plan/go-printable.ts";

const test = suite("plan/go-printable");

/**
 * SHA-256 of the lines `<first> <last>` of every run of code points for which Go 1.26's strconv.IsPrint is
 * true, ended by newlines: 711 runs, 148,998 code points.
 */
const goTable = "b58589b9471590bc86c099af7badb140b76fd93e7ff544bada5cd61ce7781e11";

test("every code point is printable exactly when Go says so", () => {
  let runs = "";
  let first: number | undefined;
  for (let point = 0; point <= 0x110000; point++) {
    const isSurrogate = point >= 0xd800 && point < 0xe000;
    const isPrintable =
      point < 0x110000 && !isSurrogate && isGoPrintable(String.fromCodePoint(point));
    if (isPrintable) {
      first ??= point;
    } else if (first !== undefined) {
      runs += `${first} ${point - 1}\n`;
      first = undefined;
    }
  }
  assert.equal(createHash("sha256").update(runs).digest("hex"), goTable);
});

test.run();
