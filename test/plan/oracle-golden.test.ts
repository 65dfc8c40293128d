import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { expand } from "../kubelet/expansion.ts";
import { compareVolumes } from "../oracle/compare.ts";
import type { Bundle, ContainerView, Entry, Json, PodView, VolumeView } from "../oracle/oracle.ts";
import { asListed, planBundle } from "../oracle/project.ts";

/**
 * Generated pods, and what the code of the kubelet 1.37.2 made of them (test/oracle/golden.ts writes them),
 * against our copies as a kubelet would read them. test/slow/oracle.test.ts asks the kubelet itself, thousands of times.
 */
const test = suite("plan/oracle-golden");
const dir = join(import.meta.dirname, "../fixtures/oracle");

interface Golden extends Pick<Bundle, "objects" | "tokens"> {
  readonly seen: Omit<PodView, "pod">;
  readonly volumes: Readonly<Record<string, VolumeView>>;
}

interface Env {
  readonly name: string;
  readonly value?: string | null;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly resourceFieldRef?: { readonly resource: string };
  };
}

interface Mount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly subPath?: string;
  readonly subPathExpr?: string;
}

/** A volume whose plugin says itself that it is read-only, in the copy as in the parent. */
interface KeptVolume {
  readonly name: string;
  readonly image?: unknown;
  readonly nfs?: { readonly readOnly?: boolean };
}

const files = readdirSync(dir).filter((file) => file.endsWith(".json"));

test("there are pods to compare", () => {
  assert.ok(files.length >= 40, `${files.length} in test/fixtures/oracle`);
});

for (const file of files.sort()) {
  test(`${file}: the copy's containers see what the parent's saw`, () => {
    const golden = JSON.parse(readFileSync(join(dir, file), "utf8")) as Golden;
    const plan = planBundle({ node: "node1", ...golden });
    assert.deepEqual(plan.skipped, []);
    const [pod] = plan.pods;
    assert.ok(pod !== undefined);
    const { spec } = JSON.parse(pod.manifest.text) as { readonly spec: Json };
    if (spec["hostNetwork"] !== true) {
      assert.equal(spec["hostname"] ?? spec["hostnameOverride"], golden.seen.hostname);
    }
    const readOnlyVolumes = new Set(
      (spec["volumes"] as readonly KeptVolume[])
        .filter(({ image, nfs }) => image !== undefined || nfs?.readOnly === true)
        .map(({ name }) => name),
    );
    for (const seen of golden.seen.containers) {
      const list = spec[seen.kind === "init" ? "initContainers" : "containers"] as readonly Json[];
      const container = list.find(({ name }) => name === seen.name);
      assert.ok(container !== undefined, seen.name);
      compareContainer(container, seen, golden.seen.namespace, readOnlyVolumes);
    }
    for (const [name, parent] of Object.entries(golden.volumes)) {
      const tree: readonly Entry[] | undefined = pod.volumes
        .find((volume) => volume.name === name)
        ?.entries.map(asListed);
      assert.deepEqual(compareVolumes(name, parent, tree), []);
    }
  });
}

function compareContainer(
  container: Json,
  seen: ContainerView,
  namespace: string,
  readOnlyVolumes: ReadonlySet<string>,
): void {
  const variables = evaluate(container, seen, namespace);
  assert.deepEqual(Object.fromEntries(variables), seen.env, `env of ${seen.name}`);
  const expandAll = (texts: unknown): string[] =>
    ((texts ?? []) as string[]).map((text) => expand(text, variables));
  assert.deepEqual(expandAll(container["command"]), seen.command ?? []);
  assert.deepEqual(expandAll(container["args"]), seen.args ?? []);
  const mounts = ((container["volumeMounts"] ?? []) as readonly Mount[]).map((mount) => ({
    name: mount.name,
    containerPath: mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`,
    readOnly: mount.readOnly === true || readOnlyVolumes.has(mount.name),
    subPath: (mount.subPath ?? expand(mount.subPathExpr ?? "", variables)).replaceAll(/\/+/g, "/"),
  }));
  assert.deepEqual(
    mounts,
    seen.mounts.map(({ name, containerPath, readOnly, subPath }) => ({
      name,
      containerPath,
      readOnly,
      subPath: subPath.replaceAll(/\/+/g, "/"),
    })),
  );
}

/** The container's environment as a kubelet without an apiserver computes it. */
function evaluate(
  container: Json,
  seen: ContainerView,
  namespace: string,
): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const { name, value, valueFrom } of (container["env"] ?? []) as readonly Env[]) {
    if (value != null && value !== "") {
      variables.set(name, expand(value, variables));
    } else if (valueFrom?.fieldRef !== undefined) {
      variables.set(name, fieldOf(valueFrom.fieldRef.fieldPath, namespace));
    } else if (valueFrom?.resourceFieldRef !== undefined) {
      // Limits are the parent's own, so the kubelet's answer is the parent's.
      assert.match(valueFrom.resourceFieldRef.resource, /^limits\./);
      variables.set(name, String(seen.env[name]));
    } else {
      assert.equal(valueFrom, undefined, `${name} refers to the API`);
      variables.set(name, "");
    }
  }
  return variables;
}

function fieldOf(path: string, namespace: string): string {
  return path === "metadata.namespace" ? namespace : (fields[path] ?? `${path} is another's`);
}

/** The fields whose values a copy has in common with its parent. */
const fields: Readonly<Record<string, string>> = {
  "spec.nodeName": "node1",
  "status.hostIP": "192.168.7.1",
  "status.hostIPs": "192.168.7.1",
  "status.podIP": "10.1.2.3",
  "status.podIPs": "10.1.2.3",
};

test.run();
