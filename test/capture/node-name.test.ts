import assert from "node:assert/strict";
import { suite } from "uvu";
import { nodeNameOf } from "../../src/capture/node-name.ts";
import { rejects } from "../rejects.ts";
import { makeObject, makePod } from "./made.ts";

const nodeName = suite("capture/node-name");

const node = (name: string) => makeObject("Node", name, {}, { namespace: undefined });
const pod = (name: string, on: string) => makePod(name, { nodeName: on });

const cases = [
  {
    name: "the given name wins",
    objects: [pod("a", "n2"), pod("b", "n3")],
    given: "n1",
    expect: "n1",
  },
  { name: "all pods agree", objects: [pod("a", "n2"), pod("b", "n2"), pod("c", "")], expect: "n2" },
  { name: "pods win over Nodes", objects: [pod("a", "n2"), node("n3"), node("n4")], expect: "n2" },
  { name: "the only Node", objects: [pod("a", ""), node("n3")], expect: "n3" },
  { name: "of several Nodes this machine", objects: [node("n3"), node("host")], expect: "host" },
  { name: "the hostname, in lower case", objects: [pod("a", "")], expect: "host" },
];

for (const { name, objects, given, expect } of cases) {
  nodeName(`is decided: ${name}`, () => {
    assert.equal(nodeNameOf(objects, given, " HOST\n"), expect);
  });
}

nodeName("is refused when pods run on several nodes, and they are listed", async () => {
  const objects = [pod("a", "n3"), pod("b", "n2"), pod("c", "n3")];
  const failure = await rejects(() => nodeNameOf(objects, undefined, "n2"), "E_NODE");
  assert.equal(failure.text.found, "n2, n3");
});

nodeName("is refused when there are several Nodes and none is this machine", async () => {
  await rejects(() => nodeNameOf([node("n3"), node("n4")], undefined, "host"), "E_NODE");
});

for (const given of ["", "../x", "UPPER", "a/b", "x".repeat(254)]) {
  nodeName(`is refused when it cannot be one: ${given.slice(0, 10)}`, async () => {
    await rejects(() => nodeNameOf([], given, "host"), "E_NAME");
  });
}

nodeName.run();
