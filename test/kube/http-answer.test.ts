import assert from "node:assert/strict";
import { suite } from "uvu";
import { readAnswer } from "../../src/kube/http-answer.ts";

const test = suite("kube/http-answer");

const failed = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n";
const readiness = "[+]etcd ok\n[-]etcd-readiness failed: reason withheld\nreadyz check failed\n";
const sized = (status: number, body: string) =>
  `HTTP/1.1 ${status} Words\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (body: string, size: number) => {
  const chunks = body.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
  const framed = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
  return `HTTP/1.1 500 Words\r\nTransfer-Encoding: chunked\r\n\r\n${framed}0\r\n\r\n`;
};

const cases: readonly { name: string; text: string; kind: string }[] = [
  { name: "200", text: sized(200, "ok"), kind: "answered" },
  { name: "401 without a body", text: "HTTP/1.1 401 Unauthorized\r\n\r\n", kind: "answered" },
  { name: "HTTP/1.0 without words", text: "HTTP/1.0 403\r\n\r\n", kind: "answered" },
  { name: "a failed etcd check", text: sized(500, failed), kind: "no-store" },
  { name: "a failed etcd-readiness check", text: sized(500, readiness), kind: "no-store" },
  { name: "a failed etcd check, 503", text: sized(503, failed), kind: "no-store" },
  { name: "a failed etcd check, any chunk size", text: chunked(failed, 7), kind: "no-store" },
  { name: "a failed etcd check, one chunk", text: chunked(failed, 4_000), kind: "no-store" },
  { name: "a failed etcd check with 200", text: sized(200, failed), kind: "answered" },
  {
    name: "a failed check of another store",
    text: sized(500, "[-]etcd-override-0 failed: x\n"),
    kind: "answered",
  },
  { name: "words inside a line", text: sized(500, "x [-]etcd failed\n"), kind: "answered" },
  {
    name: "another failed check",
    text: sized(500, "[+]etcd ok\n[-]log failed: x\n"),
    kind: "answered",
  },
  { name: "an empty 500", text: sized(500, ""), kind: "answered" },
  { name: "chunks of another failure", text: chunked("[-]log failed: x\n", 5), kind: "answered" },
  {
    name: "a failed check beyond 8 KiB",
    text: sized(500, "x\n".repeat(5_000) + failed),
    kind: "answered",
  },
  { name: "a mail server", text: "220 mail.example ESMTP\r\n", kind: "not-http" },
  { name: "another HTTP", text: "HTTP/2.0 200 OK\r\n\r\n", kind: "not-http" },
  { name: "a status that is none", text: "HTTP/1.1 999 OK\r\n\r\n", kind: "not-http" },
  { name: "a status of four digits", text: "HTTP/1.1 2000 OK\r\n\r\n", kind: "not-http" },
  { name: "a line without end", text: `HTTP/1.1 200 ${"x".repeat(2_000)}`, kind: "not-http" },
  { name: "zero bytes", text: "\0".repeat(100), kind: "not-http" },
];
for (const { name, text, kind } of cases) {
  test(`${name}: ${kind}, wherever the bytes are cut`, () => {
    const bytes = Buffer.from(text, "latin1");
    assert.equal(readAnswer(bytes, true)?.kind, kind);
    let seen = false;
    for (let length = 0; length <= Math.min(bytes.length, 400); length += 1) {
      const finding = readAnswer(bytes.subarray(0, length), false);
      if (finding !== undefined) {
        assert.equal(finding.kind, kind, `after ${length} bytes`);
        seen = true;
      } else {
        assert.ok(!seen, `unsettled again after ${length} bytes`);
      }
    }
    assert.equal(readAnswer(bytes, false)?.kind, kind, "nothing more is waited for");
  });
}

test.run();
