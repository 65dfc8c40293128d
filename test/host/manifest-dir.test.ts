import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import {
  observeLink,
  observeOwnedLinks,
  openManifestDir,
  removeDanglingLinks,
} from "../../src/host/manifest-dir.ts";
import { makeRoot, podPlan } from "../project/plans.ts";

const test = suite("host/manifest-dir");
const manifests = "/run/blackstart/manifests";
const relative = "../../../run/blackstart/manifests";

const cases = [
  {
    name: "a relative link to one of our manifests is ours",
    target: `${relative}/ours.json`,
    found: "ours",
  },
  {
    name: "an absolute link to one of our manifests is ours",
    target: `${manifests}/ours.json`,
    found: "ours",
  },
  {
    name: "a dangling link into our directory is ours",
    target: `${relative}/gone.json`,
    found: "dangling",
  },
  {
    name: "a link to a manifest of somebody else in our directory is foreign",
    target: `${relative}/theirs.json`,
    found: "foreign",
  },
  { name: "a link to our directory itself is foreign", target: relative, found: "foreign" },
  {
    name: "a link that leaves our directory again is foreign",
    target: `${manifests}/../key`,
    found: "foreign",
  },
  {
    name: "a link to a directory whose name starts like ours is foreign",
    target: `${manifests}-x/ours.json`,
    found: "foreign",
  },
  {
    name: "a link below our directory is foreign",
    target: `${manifests}/a/ours.json`,
    found: "foreign",
  },
  {
    name: "a relative link of the same words that ends elsewhere is foreign",
    target: "run/blackstart/manifests/ours.json",
    found: "foreign",
  },
  { name: "a dangling link elsewhere is foreign", target: "/nowhere/x.json", found: "foreign" },
] as const;

for (const { name, target, found } of cases) {
  test(name, () => {
    using site = fill();
    using place = openManifestDir(site.root, "/etc/kubernetes/manifests", manifests);
    symlinkSync(target, join(place.path, "link"));
    const link = observeLink(place, "link");
    const kind = typeof link === "string" ? link : link.marks === undefined ? "dangling" : "ours";
    assert.equal(kind, found);
    assert.deepEqual(removeDanglingLinks(place), found === "dangling" ? ["link"] : []);
    assert.deepEqual(readdirSync(place.path), found === "dangling" ? [] : ["link"]);
  });
}

test("a regular file is foreign and a free name is free", () => {
  using site = fill();
  using place = openManifestDir(site.root, "/etc/kubernetes/manifests", manifests);
  writeFileSync(join(place.path, "file"), "");
  assert.equal(observeLink(place, "file"), "foreign");
  assert.equal(observeLink(place, "free"), "free");
});

test("links of ours are listed with what their manifests say", () => {
  using site = fill();
  using place = openManifestDir(site.root, "/etc/kubernetes/manifests", manifests);
  symlinkSync(`${relative}/ours.json`, join(place.path, "b"));
  symlinkSync(`${relative}/gone.json`, join(place.path, "a"));
  symlinkSync(`${relative}/gone.json`, join(place.path, ".hidden"));
  const listed = observeOwnedLinks(place).map(({ linkName, fileName, marks }) => [
    linkName,
    fileName,
    marks?.namespace,
    marks?.checkpointOf,
  ]);
  assert.deepEqual(listed, [
    ["a", "gone.json", undefined, undefined],
    ["b", "ours.json", "kube-system", "etcd"],
  ]);
});

test("a manifest directory behind a symlinked parent gets links that lead from its real place", () => {
  using site = fill();
  mkdirSync(join(site.root, "data/deep/kubernetes/manifests"), { recursive: true });
  symlinkSync("data/deep/kubernetes", join(site.root, "kubernetes"));
  using place = openManifestDir(site.root, "/kubernetes/manifests", manifests);
  assert.equal(place.targetOf("x.json"), "../../../../run/blackstart/manifests/x.json");
  assert.equal(place.ownedFile(place.targetOf("x.json")), "x.json");
});

test("on a node links are absolute", () => {
  using site = makeRoot();
  const staticPodDir = join(site.root, "etc/kubernetes/manifests");
  using place = openManifestDir("/", staticPodDir, manifests);
  assert.equal(place.targetOf("x.json"), "/run/blackstart/manifests/x.json");
  assert.equal(place.ownedFile("/run/blackstart/manifests/x.json"), "x.json");
});

function fill(): ReturnType<typeof makeRoot> {
  const site = makeRoot();
  const dir = join(site.root, manifests);
  mkdirSync(dir, { mode: 0o700 });
  writeFileSync(join(dir, "ours.json"), podPlan("kube-system", "etcd", {}).manifest.text);
  writeFileSync(join(dir, "theirs.json"), '{"kind":"Pod","metadata":{"annotations":{}}}');
  return site;
}

test.run();
