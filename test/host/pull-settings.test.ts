import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { readPullSettings } from "../../src/host/pull-settings.ts";

const test = suite("host/pull-settings");

const gate = "KubeletEnsureSecretPulledImages";
const usual = "var/lib/kubelet/config.yaml";

const cases: readonly {
  readonly name: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
  readonly policy?: string;
  readonly allowlist?: readonly string[];
  readonly gates?: Readonly<Record<string, boolean>>;
}[] = [
  { name: "no configuration says nothing" },
  {
    name: "a configuration that mentions none of it says nothing",
    files: { [usual]: "featureGates: {Other: false}\nstaticPodPath: /x\n" },
  },
  {
    name: "YAML",
    files: {
      [usual]: `imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages\npreloadedImagesVerificationAllowlist:\n- a.example/*\nfeatureGates:\n  ${gate}: true\n`,
    },
    policy: "NeverVerifyAllowlistedImages",
    allowlist: ["a.example/*"],
    gates: { [gate]: true },
  },
  {
    name: "JSON, where the kubelet's flag says",
    files: {
      "etc/k.json": JSON.stringify({ imagePullCredentialsVerificationPolicy: "AlwaysVerify" }),
    },
    flags: { config: "/etc/k.json" },
    policy: "AlwaysVerify",
  },
  {
    name: "drop-ins in order, each over what was before; files of other names are none",
    files: {
      [usual]: `imagePullCredentialsVerificationPolicy: AlwaysVerify\nfeatureGates: {${gate}: false}\n`,
      "etc/d/10-a.conf": "imagePullCredentialsVerificationPolicy: NeverVerify\n",
      "etc/d/20-b.conf": "featureGates: {AllBeta: true}\n",
      "etc/d/30-c.yaml": "imagePullCredentialsVerificationPolicy: AlwaysVerify\n",
    },
    flags: { "config-dir": "/etc/d" },
    policy: "NeverVerify",
    gates: { [gate]: false, AllBeta: true },
  },
  {
    name: "a flag wins over every file",
    files: { [usual]: `featureGates: {${gate}: true}\n` },
    flags: { "feature-gates": `Other=true,${gate}=false` },
    gates: { [gate]: false, Other: true },
  },
  {
    name: "what is malformed says nothing",
    files: { [usual]: "imagePullCredentialsVerificationPolicy: [\n" },
    flags: { "config-dir": "/nonexistent" },
  },
  {
    name: "values of other types say nothing",
    files: {
      [usual]:
        "imagePullCredentialsVerificationPolicy: 1\npreloadedImagesVerificationAllowlist: [1, a]\nfeatureGates: null\n",
    },
    allowlist: ["a"],
  },
];

for (const { name, files = {}, flags = {}, policy, allowlist = [], gates = {} } of cases) {
  test(name, async () => {
    const root = mkdtempSync(join(tmpdir(), "pull-settings-"));
    try {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), text);
      }
      const settings = await readPullSettings(root, new Map(Object.entries(flags)));
      assert.equal(settings.policy, policy);
      assert.deepEqual(settings.allowlist, allowlist);
      assert.deepEqual(Object.fromEntries(settings.featureGates), gates);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
}

test.run();
