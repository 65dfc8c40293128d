import assert from "node:assert/strict";
import { suite } from "uvu";
import type { PlannedImage } from "../../src/model/plan.ts";
import { type PullRecord, parseRecord, recordName } from "../../src/model/pull-record.ts";
import type { PullCheck } from "../../src/plan/pull-check.ts";
import {
  judgeImages,
  recordsInTheWay,
  recordsOfInterest,
  warnOfCredentials,
} from "../../src/plan/pull-records.ts";

const test = suite("plan/pull-records");

const id = `sha256:${"1".repeat(64)}`;
const digest = `sha256:${"2".repeat(64)}`;
const name = "registry.example/team/app:1";
const reference = `registry.example/team/app@${digest}`;
const known: PlannedImage = { place: "containers/c", name, reference, id };
const unknown: PlannedImage = { place: "containers/c", name, reference: name, id: undefined };

const pulled = (credentialMapping: object, imageRef = id, file = recordName(imageRef)) =>
  parseRecord(
    "pulled",
    file,
    JSON.stringify({ kind: "ImagePulledRecord", imageRef, credentialMapping }),
  );
const begun = (image: string) =>
  parseRecord("pulling", recordName(image), JSON.stringify({ kind: "ImagePullIntent", image }));
const secret = { kubernetesSecrets: [{ uid: "1", namespace: "a", name: "s", credentialHash: "" }] };
const account = { kubernetesServiceAccounts: [{ uid: "1", namespace: "a", name: "s" }] };
const anyPod = { nodePodsAccessible: true };
const repository = "registry.example/team/app";

const policies = [
  "off",
  "NeverVerify",
  "NeverVerifyPreloadedImages",
  "NeverVerifyAllowlistedImages",
  "not allowlisted",
  "AlwaysVerify",
] as const;
type Answer = "usable" | "records" | "refused";

const always = ["usable", "usable", "usable", "usable", "usable", "usable"] as const;
/** off, NeverVerify, preloaded, allow-listed, not allow-listed, AlwaysVerify */
const cases: readonly {
  readonly name: string;
  readonly image?: PlannedImage;
  readonly records: readonly PullRecord[];
  readonly answers: readonly Answer[];
}[] = [
  {
    name: "no record: the image was preloaded",
    records: [],
    answers: ["usable", "usable", "usable", "usable", "refused", "refused"],
  },
  {
    name: "a record that any pod of the node may use",
    records: [pulled({ [repository]: anyPod })],
    answers: always,
  },
  {
    name: "a record that names a secret",
    records: [pulled({ [repository]: secret })],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "a record that names a service account",
    records: [pulled({ [repository]: account })],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "a record that is open for another repository only",
    records: [pulled({ "registry.example/other": anyPod })],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "a record without any credentials, of a pull that nobody saw end",
    records: [pulled({})],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "a record that cannot be read stops the kubelet whatever its policy allows",
    records: [parseRecord("pulled", recordName(id), "")],
    answers: ["usable", "records", "records", "records", "refused", "refused"],
  },
  {
    name: "a record of another image under this one's name is none",
    records: [pulled({ [repository]: secret }, "sha256:other", recordName(id))],
    answers: ["usable", "usable", "usable", "usable", "refused", "refused"],
  },
  {
    name: "a record of another image",
    records: [pulled({ [repository]: secret }, "sha256:other")],
    answers: ["usable", "usable", "usable", "usable", "refused", "refused"],
  },
  {
    name: "a begun pull of the digest that the manifest names",
    records: [begun(reference)],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "a begun pull of the name in the pod, of which the kubelet makes a record when it starts",
    records: [begun(name)],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "a begun pull beside a record that is open",
    records: [pulled({ [repository]: anyPod }), begun(name)],
    answers: always,
  },
  {
    name: "a begun pull of another version",
    records: [begun("registry.example/team/app:2")],
    answers: ["usable", "usable", "usable", "usable", "refused", "refused"],
  },
  {
    name: "a begun pull that cannot be read",
    records: [parseRecord("pulling", recordName(reference), "{")],
    answers: ["usable", "records", "records", "records", "refused", "refused"],
  },
  {
    name: "without an id, no record names the image",
    image: unknown,
    records: [pulled({ "registry.example/other": secret })],
    answers: ["usable", "usable", "usable", "usable", "refused", "refused"],
  },
  {
    name: "without an id, a record names it",
    image: unknown,
    records: [pulled({ [repository]: secret })],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "without an id, one of two records that name it is closed",
    image: unknown,
    records: [pulled({ [repository]: secret }), pulled({ [repository]: anyPod }, "sha256:other")],
    answers: ["usable", "usable", "records", "usable", "refused", "refused"],
  },
  {
    name: "without an id, a record that names it is open",
    image: unknown,
    records: [pulled({ [repository]: anyPod })],
    answers: always,
  },
  {
    name: "without an id, a record that cannot be read is nobody's",
    image: unknown,
    records: [parseRecord("pulled", recordName(id), "")],
    answers: ["usable", "usable", "usable", "usable", "refused", "refused"],
  },
];

for (const { name: title, image = known, records, answers } of cases) {
  test(title, () => {
    for (const [at, policy] of policies.entries()) {
      const { use } = judge(image, records, policy);
      assert.equal(use.kind, answers[at], policy);
    }
  });
}

test("an allow-list has repositories and prefixes, never tags", () => {
  const lists: readonly (readonly [string, Answer])[] = [
    ["registry.example/team/app", "usable"],
    ["registry.example/*", "usable"],
    ["registry.example/team/*", "usable"],
    ["registry.example/te/*", "refused"],
    ["registry.example/team", "refused"],
    ["registry.example/team/app:1", "refused"],
  ];
  for (const [pattern, answer] of lists) {
    const check = checkOf("NeverVerifyAllowlistedImages", [pattern]);
    const [pod] = judgeImages([podOf(known)], { kept: [], aside: [] }, check);
    assert.equal(pod?.images[0]?.use.kind, answer, pattern);
  }
});

test("a record names a repository as the pod does, and in full before 1.36", () => {
  const image = { ...known, name: "app:1", reference: "app:1" };
  const inFull = [pulled({ "docker.io/library/app": anyPod })];
  const asWritten = [pulled({ app: anyPod })];
  const kindOf = (records: readonly PullRecord[], spelling: PullCheck["spelling"]) => {
    const check = { ...checkOf("NeverVerifyPreloadedImages", []), spelling };
    return judgeImages([podOf(image)], { kept: records, aside: [] }, check)[0]?.images[0]?.use.kind;
  };
  assert.equal(kindOf(inFull, "in-full"), "usable");
  assert.equal(kindOf(asWritten, "in-full"), "records");
  assert.equal(kindOf(asWritten, "as-written"), "usable");
  assert.equal(kindOf(inFull, "as-written"), "records");
});

test("what is in the way is told once: the record, and the begun pulls that would make one anew", () => {
  const records = [pulled({ [repository]: secret }), begun(name), begun("registry.example/x:1")];
  const check = checkOf("NeverVerifyPreloadedImages", []);
  const judged = judgeImages(
    [podOf(known), podOf(known)],
    { kept: [], aside: records }, // wherever they are
    check,
  );
  assert.deepEqual(recordsInTheWay(judged), [
    { list: "pulled", file: recordName(id) },
    { list: "pulling", file: recordName(name) },
  ]);
});

test("a pod is warned of once, and only for records that stay", () => {
  const records = [pulled({ [repository]: secret })];
  const two = { ...podOf(known), images: [known, { ...known, place: "initContainers/i" }] };
  const check = checkOf("NeverVerifyPreloadedImages", []);
  const judged = judgeImages([two], { kept: records, aside: [] }, check);
  const warnings = warnOfCredentials(judged, () => true, "keep");
  assert.deepEqual(
    warnings.map(({ code, namespace, name: pod }) => [code, namespace, pod]),
    [["W_IMAGE_CREDENTIALS", "a", "web"]],
  );
  assert.match(warnings[0]?.message ?? "", /app:1 cannot be used .*set-aside.*NeverVerify/);
  assert.deepEqual(
    warnOfCredentials(judged, () => false, "keep"),
    [],
  );
  // One that could not be set aside.
  const [left] = warnOfCredentials(judged, () => true, "set-aside");
  assert.doesNotMatch(left?.message ?? "set-aside", /set-aside/);
  const refused = judgeImages([two], { kept: records, aside: [] }, checkOf("AlwaysVerify", []));
  assert.match(
    warnOfCredentials(refused, () => false, "set-aside")[0]?.message ?? "",
    /AlwaysVerify/,
  );
});

test("only the files of its own images matter, all of them where an id is missing", () => {
  const interest = recordsOfInterest([known]);
  assert.ok(interest !== undefined);
  assert.ok(interest.has(recordName(id)) && interest.has(recordName(name)));
  assert.equal(interest.has(recordName("sha256:other")), false);
  assert.equal(recordsOfInterest([known, unknown]), undefined);
});

function podOf(image: PlannedImage) {
  return { namespace: "a", name: "web", images: [image] };
}

function checkOf(policy: PullCheck["policy"], allowlist: readonly string[]): PullCheck {
  return { policy, allowlist, spelling: "as-written" };
}

function judge(
  image: PlannedImage,
  kept: readonly PullRecord[],
  policy: (typeof policies)[number],
) {
  const check =
    policy === "not allowlisted"
      ? checkOf("NeverVerifyAllowlistedImages", ["registry.example/other"])
      : checkOf(policy, ["registry.example/team/*"]);
  const judged = judgeImages([podOf(image)], { kept, aside: [] }, check)[0]?.images[0];
  assert.ok(judged !== undefined);
  return judged;
}

test.run();
