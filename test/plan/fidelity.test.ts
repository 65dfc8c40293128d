import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import type { VolumeEntry, VolumePlan } from "../../src/model/plan.ts";
import { planRestore } from "../../src/plan/restore.ts";
import { expand } from "../kubelet/expansion.ts";

/** What the real kubelet gave each container of the recorded cluster, against what our copy would get. */
const fidelity = suite("plan/fidelity");
const setA = new URL("../fixtures/setA/", import.meta.url);
const golden = new URL("golden/", setA);

interface Listed {
  readonly path: string;
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly target?: string;
  readonly sha256?: string;
}

interface Golden {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  readonly hostname: string;
  readonly volumeMounts: Readonly<
    Record<
      string,
      {
        readonly volume: Readonly<Record<string, unknown>>;
        readonly listing: readonly Listed[];
        readonly volumeMount: { readonly subPath?: string };
        readonly mount: { readonly access: string };
      }
    >
  >;
}

interface Manifest {
  readonly spec: {
    readonly hostname?: string;
    readonly hostNetwork?: boolean;
    readonly containers: readonly {
      readonly name: string;
      readonly command?: readonly string[];
      readonly args?: readonly string[];
      readonly env?: readonly {
        readonly name: string;
        readonly value?: string;
        readonly valueFrom?: {
          readonly fieldRef?: { readonly fieldPath: string };
          readonly resourceFieldRef?: { readonly resource: string };
        };
      }[];
      readonly volumeMounts?: readonly {
        readonly name: string;
        readonly mountPath: string;
        readonly subPath?: string;
        readonly readOnly?: boolean;
      }[];
    }[];
    readonly volumes: readonly {
      readonly name: string;
      readonly hostPath?: { readonly path: string };
    }[];
  };
}

/** Set by the image, the runtime and runc, not by the pod (fixtures/setA/README.md). */
const fromElsewhere = new Set(["PATH", "HOSTNAME", "HOME"]);
/** The recording's token is in no object, so that its file cannot be in a checkpoint made of objects. */
const isToken = ({ path }: { readonly path: string }) => /(^|\/)token$/.test(path);

function items(): unknown[] {
  const folder = new URL("objects/", setA);
  return readdirSync(folder).flatMap((name) => {
    const list = JSON.parse(readFileSync(new URL(name, folder), "utf8"));
    return list.items as unknown[];
  });
}

function planSetA() {
  const all = items() as { kind: string; metadata: { namespace: string; name: string } }[];
  const checkpoint = parseCheckpoint({
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "node1", capturedAt: "2026-11-22T08:25:00Z", source: "files" },
    pods: all.filter(({ kind }) => kind === "Pod").map(({ metadata }) => metadata),
    unprojectable: [],
    tokens: [],
    items: all,
  });
  return planRestore(checkpoint, {
    generation: 7,
    secretEnv: "inline",
    kubeletVersion: undefined,
    now: new Date("2026-11-22T09:00:00Z"),
  });
}

const plan = planSetA();
const goldens = readdirSync(golden)
  // A mirror pod is never captured: its static manifest is still on the node.
  .filter((name) => !name.includes("static-web"))
  .map((name) => JSON.parse(readFileSync(new URL(name, golden), "utf8")) as Golden);

fidelity("there are recordings of every kind of container", () => {
  assert.equal(goldens.length, 15);
  assert.deepEqual(plan.skipped, []);
});

for (const recorded of goldens) {
  const pod = plan.pods.find(
    ({ namespace, name }) => namespace === recorded.namespace && name === recorded.pod,
  );
  const title = `${recorded.namespace}/${recorded.pod} ${recorded.container}`;

  fidelity(`${title}: environment and arguments`, () => {
    assert.ok(pod);
    const manifest = JSON.parse(pod.manifest.text) as Manifest;
    const container = manifest.spec.containers.find(({ name }) => name === recorded.container);
    assert.ok(container);
    const env = new Map<string, string>();
    for (const { name, value, valueFrom } of container.env ?? []) {
      if (valueFrom === undefined) {
        env.set(name, expand(value ?? "", env));
      } else {
        // The kubelet answers these by itself, with the same value: node name, addresses, limits.
        assert.match(
          valueFrom.fieldRef?.fieldPath ?? valueFrom.resourceFieldRef?.resource ?? "",
          /^(limits\.\w+|spec\.nodeName|metadata\.namespace|status\.(pod|host)IPs?)$/,
        );
        env.set(name, recorded.env[name] ?? "missing in the recording");
      }
    }
    const expected = Object.entries(recorded.env).filter(([name]) => !fromElsewhere.has(name));
    assert.deepEqual(Object.fromEntries([...env].sort()), Object.fromEntries(expected.sort()));
    const argv = [...(container.command ?? []), ...(container.args ?? [])].map((one) =>
      expand(one, env),
    );
    assert.deepEqual(argv, recorded.argv);
    if (manifest.spec.hostNetwork !== true) {
      assert.equal(manifest.spec.hostname, recorded.hostname);
    }
  });

  fidelity(`${title}: files`, () => {
    assert.ok(pod);
    const manifest = JSON.parse(pod.manifest.text) as Manifest;
    const container = manifest.spec.containers.find(({ name }) => name === recorded.container);
    for (const [mountPath, { volume, listing, volumeMount, mount }] of Object.entries(
      recorded.volumeMounts,
    )) {
      if (
        !["secret", "configMap", "projected", "downwardAPI"].some(
          (kind) => volume[kind] !== undefined,
        )
      ) {
        continue;
      }
      const ours = container?.volumeMounts?.find((one) => one.mountPath === mountPath);
      assert.equal(ours?.readOnly, mount.access === "ro", mountPath);
      const source = manifest.spec.volumes.find(({ name }) => name === ours?.name)?.hostPath?.path;
      const tree: VolumePlan | undefined = pod.volumes.find(({ dir }) => dir === source);
      assert.ok(tree, mountPath);
      const entries: readonly VolumeEntry[] =
        volumeMount.subPath === undefined
          ? tree.entries
          : [entryAt(tree.entries, volumeMount.subPath)];
      assert.deepEqual(
        entries
          .map(listed)
          .filter((one) => !isToken(one))
          .map(unstamped)
          .sort(byPath),
        listing
          .filter((one) => !isToken(one))
          .map(trimmed)
          .map(unstamped)
          .sort(byPath),
      );
    }
  });
}

function entryAt(entries: readonly VolumeEntry[], subPath: string): VolumeEntry {
  const file = entries.find(({ kind, path }) => kind === "file" && path.endsWith(`/${subPath}`));
  assert.ok(file);
  return { ...file, path: "." };
}

function listed(entry: VolumeEntry): Listed {
  const { path, uid, gid } = entry;
  switch (entry.kind) {
    case "directory":
      return { path, type: "dir", mode: octal(entry.mode), uid, gid };
    case "file":
      return {
        path,
        type: "file",
        mode: octal(entry.mode),
        uid,
        gid,
        sha256: createHash("sha256").update(entry.bytes).digest("hex"),
      };
    case "link":
      return { path, type: "symlink", mode: "0777", uid, gid, target: entry.target };
  }
}

function trimmed({ path, type, mode, uid, gid, target, sha256 }: Listed): Listed {
  return {
    path,
    type,
    mode,
    uid,
    gid,
    ...(target === undefined ? {} : { target }),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

/** The timestamped directory's name differs on every run of the kubelet. */
function unstamped(entry: Listed): Listed {
  const stamp = /^\.\.\d{4}(_\d\d){5}\.\d+/;
  return {
    ...entry,
    path: entry.path.replace(stamp, "..stamp"),
    ...(entry.target === undefined ? {} : { target: entry.target.replace(stamp, "..stamp") }),
  };
}

function byPath(a: Listed, b: Listed): number {
  return a.path < b.path ? -1 : 1;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

fidelity.run();
