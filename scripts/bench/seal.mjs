// Runs under the pinned Node: seals and opens a document in this process; prints milliseconds per MB as JSON.
import { randomBytes } from "node:crypto";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { openEnvelope } from "../../src/store/envelope.ts";
import { seal } from "../../src/store/seal.ts";

const megabytes = 8;
const key = StoreKey.generate();
const plaintext = Buffer.from(randomBytes((megabytes * 1e6) / 2).toString("hex"));
const facts = {
  storeId: "00000000-0000-4000-8000-000000000000",
  node: "node1",
  generation: 1,
  previousTag: "",
  capturedAt: new Date().toISOString(),
};

/** @type {number[]} */
const sealed = [];
/** @type {number[]} */
const opened = [];
for (let run = 0; run < 11; run += 1) {
  const before = performance.now();
  const envelope = await seal(plaintext, facts, key, []);
  const between = performance.now();
  openEnvelope(envelope, ringOf(key));
  sealed.push((between - before) / megabytes);
  opened.push((performance.now() - between) / megabytes);
}

/** @param {number[]} values */
const median = (values) => values.sort((left, right) => left - right)[5];
console.log(JSON.stringify({ seal: median(sealed), open: median(opened) }));
