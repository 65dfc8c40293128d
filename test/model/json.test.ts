import assert from "node:assert/strict";
import { suite } from "uvu";
import { encodeJson, exactNumber, isExactNumber, parseJson } from "../../src/model/json.ts";

const json = suite("model/json");

const exact = [
  "9007199254740993",
  "-9007199254740993",
  "18446744073709551615",
  "123456789012345678901234567890",
  "0.12345678901234567890",
  "1e400",
  "-1e400",
  "1e-400",
  "1.00000000000000000001",
];

for (const number of exact) {
  json(`keeps ${number} to the last digit, wherever it stands`, () => {
    for (const text of [number, `[${number}]`, `{"a":${number}}`, `{"a":[1,${number}]}`]) {
      assert.equal(encodeJson(parseJson(text)), text);
      assert.equal(encodeJson(parseJson(text.replaceAll(/([:,[])/g, "$1\n "))), text);
    }
    assert.ok(isExactNumber(parseJson(number)));
  });
}

const plain: readonly (readonly [string, number])[] = [
  ["0", 0],
  ["-1", -1],
  ["420", 420],
  ["9007199254740991", 9007199254740991],
  ["9007199254740992", 9007199254740992],
  ["1.0", 1],
  ["1e3", 1000],
  ["1E+3", 1000],
  ["0.10", 0.1],
  ["100000000000000000000", 1e20],
  ["1e-7", 1e-7],
  ["0.0000000000000000000000001", 1e-25],
  ["0e5", 0],
];

for (const [text, value] of plain) {
  json(`gives ${text} as a plain number`, () => {
    assert.equal(parseJson(text), value);
    assert.deepEqual(parseJson(`{"a":[${text}]}`), { a: [value] });
    assert.equal(exactNumber(text), value);
  });
}

json("leaves digits in strings alone", () => {
  const text = '{"a":"9007199254740993","b":", 9007199254740993","c":": 1e400"}';
  assert.deepEqual(parseJson(text), {
    a: "9007199254740993",
    b: ", 9007199254740993",
    c: ": 1e400",
  });
});

json("takes __proto__ as an ordinary key, on either way", () => {
  for (const text of ['{"__proto__":{"a":1}}', '{"__proto__":{"a":9007199254740993}}']) {
    const value = parseJson(text);
    assert.ok(typeof value === "object" && value !== null);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal(encodeJson(value), text);
  }
});

json("is a SyntaxError for anything else", () => {
  for (const text of ["", "{", "01", "1.", "nul", "{'a':1}", "[1,]"]) {
    assert.throws(() => parseJson(text), SyntaxError);
  }
});

json.run();
