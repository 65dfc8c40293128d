import assert from "node:assert/strict";
import { suite } from "uvu";
import { pullCheckOf } from "../../src/plan/pull-check.ts";

const test = suite("plan/pull-check");

const gate = "KubeletEnsureSecretPulledImages";
const cases: readonly {
  readonly name: string;
  readonly version: string | undefined;
  readonly gates?: Readonly<Record<string, boolean>>;
  readonly on: boolean;
}[] = [
  { name: "on since 1.35", version: "v1.35.0", on: true },
  { name: "off before", version: "v1.34.9", on: false },
  { name: "a version that nobody knows is a current one", version: undefined, on: true },
  { name: "the gate turns it off", version: "v1.37.2", gates: { [gate]: false }, on: false },
  { name: "the gate turns it on", version: "v1.34.1", gates: { [gate]: true }, on: true },
  { name: "before 1.33 there is no gate", version: "v1.32.0", gates: { [gate]: true }, on: false },
  { name: "no beta features", version: "v1.36.0", gates: { AllBeta: false }, on: false },
  {
    name: "no beta features but this",
    version: "v1.36.0",
    gates: { AllBeta: false, [gate]: true },
    on: true,
  },
  { name: "all alpha features", version: "v1.33.0", gates: { AllAlpha: true }, on: true },
  {
    name: "all alpha features say nothing of beta",
    version: "v1.34.0",
    gates: { AllBeta: true },
    on: false,
  },
];

for (const { name, version, gates = {}, on } of cases) {
  test(name, () => {
    const featureGates = new Map(Object.entries(gates));
    const settings = { policy: undefined, allowlist: [], featureGates };
    const { policy } = pullCheckOf(settings, version);
    assert.equal(policy, on ? "NeverVerifyPreloadedImages" : "off");
  });
}

test("the policy is the kubelet's, and its default where it names none that there is", () => {
  const policyOf = (policy: string) =>
    pullCheckOf({ policy, allowlist: [], featureGates: new Map() }, "v1.37.2").policy;
  assert.equal(policyOf("AlwaysVerify"), "AlwaysVerify");
  assert.equal(policyOf("Sometimes"), "NeverVerifyPreloadedImages");
});

test("names are in full before 1.36", () => {
  const settings = { policy: undefined, allowlist: [], featureGates: new Map() };
  assert.equal(pullCheckOf(settings, "v1.35.4").spelling, "in-full");
  assert.equal(pullCheckOf(settings, "v1.36.0").spelling, "as-written");
});

test.run();
