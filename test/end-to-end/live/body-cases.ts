import { gzipSync } from "node:zlib";
import { marker, pod } from "../objects.ts";
import { pods } from "./answer-cases.ts";
import type { BadCluster } from "./bad-cluster.ts";
import { answer, listOf } from "./fake-apiserver.ts";

/** A text in place of the list of pods. */
function body(name: string, text: string | Buffer, says: RegExp): BadCluster {
  return pods(name, answer(200, text), "E_API_ANSWER", says);
}

const whole = listOf("Pod", [pod()], 7);
const item = JSON.parse(whole).items[0];
const aPod = (change: object) => listOf("Pod", [{ ...item, ...change }], 7);
const strange = (name: string, change: object) =>
  body(name, aPod(change), /an object that is not what the API defines/);

/** Bodies in place of the list of pods, told as JSON and with 200. */
export const bodyCases: readonly BadCluster[] = [
  body("compressed, though nobody asked for that", gzipSync(whole), /bytes that are not JSON/),
  body("JSON that is cut short and ends well", whole.slice(0, -20), /bytes that are not JSON/),
  body("empty", "", /0 bytes that are not JSON/),
  body("not UTF-8", Buffer.from([0x22, 0xff, 0xfe, 0x22]), /no list of them|not JSON/),
  body("deeper than any parser likes", "[".repeat(200_000), /not JSON/),
  body("null", "null", /no list of them/),
  body("a list in JSON", "[]", /no list of them/),
  body("text in JSON", `"${marker}"`, /no list of them/),
  body("a list of Secrets", listOf("Secret", [], 7), /no list of them/),
  body("a Status with 200", '{"kind":"Status","apiVersion":"v1","status":"Success"}', /no list/),
  body("a list without a resourceVersion", whole.replace('"7"', '""'), /no list of them/),
  body("a list whose resourceVersion is a number", whole.replace('"7"', "7"), /no list of them/),
  body("a list whose items are an object", whole.replace(/"items":.*/, '"items":{}}'), /no list/),
  body("a list of null", listOf("Pod", [], 7).replace("[]", "[null]"), /not what the API defines/),
  strange("a list of pods without metadata", { metadata: undefined }),
  strange("a list of pods named by numbers", { metadata: { ...item.metadata, name: 7 } }),
  strange("a list of pods named by paths", { metadata: { ...item.metadata, name: "../../etc" } }),
  body("a list of pods whose spec is text", aPod({ spec: marker }), /not what the API defines/),
  body(
    "a list of pods whose containers are one",
    aPod({ spec: { containers: {} } }),
    /not what the API defines/,
  ),
  body("a list with one pod twice", listOf("Pod", [item, item], 7), /one object more than once/),
];
