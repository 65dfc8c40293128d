import assert from "node:assert/strict";
import { suite } from "uvu";
import { localizeEndpoints, refusedByAll } from "../../src/kube/own-endpoint.ts";
import type { Endpoint } from "../../src/model/probe.ts";

const ownEndpoint = suite("kube/own-endpoint");

const endpoint = (host: string, more: Partial<Endpoint> = {}): Endpoint => ({
  url: `https://${host}:6443`,
  host,
  port: 6443,
  prefix: "",
  origin: "checkpoint",
  own: true,
  serverNames: [host],
  ...more,
});

ownEndpoint(
  "an own address that no interface has is asked over loopback, with its name kept",
  () => {
    const [only, ...others] = localizeEndpoints(
      [endpoint("127.0.0.1"), endpoint("192.0.2.2")],
      ["198.51.100.7"],
    );
    assert.deepEqual(others, []);
    assert.equal(only?.host, "127.0.0.1");
    assert.deepEqual(only?.serverNames, ["127.0.0.1", "192.0.2.2"]);
  },
);

ownEndpoint(
  "an address that an interface has, and another machine's, are asked as they are",
  () => {
    const asked = [endpoint("198.51.100.7"), endpoint("203.0.113.9", { own: false })];
    assert.deepEqual(localizeEndpoints(asked, ["198.51.100.7"]), asked);
  },
);

const cases = [
  {
    name: "own ports without a listener",
    endpoints: [endpoint("127.0.0.1")],
    listeners: new Set([22]),
    isKnown: true,
  },
  {
    name: "an own port with a listener",
    endpoints: [endpoint("127.0.0.1")],
    listeners: new Set([6443]),
    isKnown: false,
  },
  {
    name: "another machine",
    endpoints: [endpoint("203.0.113.9", { own: false })],
    listeners: new Set([22]),
    isKnown: false,
  },
  {
    name: "a kernel that does not tell",
    endpoints: [endpoint("127.0.0.1")],
    listeners: undefined,
    isKnown: false,
  },
  { name: "no endpoint at all", endpoints: [], listeners: new Set([22]), isKnown: true },
];
for (const { name, endpoints, listeners, isKnown } of cases) {
  ownEndpoint(`${name}: ${isKnown ? "refused without asking" : "has to be asked"}`, () => {
    const outcomes = refusedByAll(endpoints, listeners);
    assert.equal(outcomes !== undefined, isKnown);
    assert.ok((outcomes ?? []).every(({ kind }) => kind === "refused"));
  });
}

ownEndpoint.run();
