import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  describeImages,
  describeRuntime,
  type RuntimeReport,
  reportImages,
} from "../../src/cli/image-report.ts";
import type { PlannedImage, PodPlan } from "../../src/model/plan.ts";
import type { ImageFinding } from "../../src/runtime/cri.ts";

const imageReport = suite("cli/image-report");

const digest = `quay.io/etcd@sha256:0123456789abcdef${"0".repeat(48)}`;

function podOf(...images: readonly Partial<PlannedImage>[]): PodPlan {
  const common = { place: "containers/main", name: "app:1", reference: "app:1", id: undefined };
  return {
    namespace: "prod",
    name: "web",
    uid: undefined,
    images: images.map((one) => ({ ...common, ...one })),
    volumes: [],
    manifest: { file: "/f", linkName: "l", text: "", carriesSecret: false },
  };
}

function report(findings: Readonly<Record<string, ImageFinding>>): RuntimeReport {
  const runtime = { socket: "/run/c.sock", name: "containerd", version: "v2.3.7", problem: null };
  return { ...runtime, findings: new Map(Object.entries(findings)) };
}

const there = (pinned: boolean): ImageFinding => ({
  kind: "present",
  image: { id: "sha256:1", repoTags: [], repoDigests: [], size: 1, pinned },
});

const cases = [
  {
    name: "an image that is there and pinned",
    finding: there(true),
    use: "usable",
    says: "present, pinned",
    known: [true, true, "sha256:1"],
  },
  {
    name: "one that is not pinned",
    finding: there(false),
    use: undefined,
    says: "present, not pinned",
    known: [true, false, "sha256:1"],
  },
  {
    name: "one that a static copy may not use",
    finding: there(true),
    use: "refused without a secret",
    says: "present, pinned, refused without a secret",
    known: [true, true, "sha256:1"],
  },
  {
    name: "one that is missing",
    finding: { kind: "absent" } as const,
    use: "usable",
    says: "MISSING",
    known: [false, false, "sha256:9"],
  },
  {
    name: "one of which the runtime does not tell",
    finding: { kind: "unknown", problem: "nobody listens there" } as const,
    use: "usable",
    says: "not known",
    known: [null, null, "sha256:9"],
  },
  {
    name: "one that nobody was asked for",
    finding: undefined,
    use: "refused",
    says: "not known, refused",
    known: [null, null, "sha256:9"],
  },
];

for (const { name, finding, use, says, known } of cases) {
  imageReport(name, () => {
    const pod = podOf({ reference: digest, id: "sha256:9" });
    const asked = report(finding === undefined ? {} : { [digest]: finding });
    const [reported] = reportImages([pod], asked.findings, () => use);
    assert.ok(reported);
    assert.deepEqual(describeImages(reported), [["app:1", "sha256:0123456789ab", says]]);
    const [image] = reported.images;
    assert.deepEqual([image?.present, image?.pinned, image?.id], known);
    assert.deepEqual([image?.digest, image?.use], [digest, use ?? null]);
  });
}

imageReport("containers that share an image share its row, and the data have each", () => {
  const pod = podOf({}, { place: "containers/side" }, { place: "containers/other", name: "b:1" });
  const [reported] = reportImages([pod], report({ "app:1": there(true) }).findings, () => "usable");
  assert.ok(reported);
  assert.deepEqual(
    reported.images.map(({ place, digest: none }) => [place, none]),
    [
      ["containers/main", null],
      ["containers/side", null],
      ["containers/other", null],
    ],
  );
  assert.deepEqual(
    describeImages(reported).map(([name]) => name),
    ["app:1", "b:1"],
  );
});

imageReport("the runtime's line says what it cannot do, and why it is silent", () => {
  const { findings: _, ...asked } = report({});
  assert.equal(describeRuntime(asked, true), "containerd v2.3.7 at /run/c.sock");
  assert.match(describeRuntime(asked, false), /images are not pinned/);
  assert.match(describeRuntime({ ...asked, name: "docker" }, true), /no way to keep images/);
  const problem = "nobody listens there";
  assert.match(
    describeRuntime({ ...asked, name: null, problem }, true),
    /does not tell.*nobody listens there \(\/run\/c\.sock\)/,
  );
});

imageReport.run();
