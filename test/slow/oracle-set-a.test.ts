import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  askEnvironments,
  askVolumes,
  type Bundle,
  buildOracle,
  type Entry,
} from "../oracle/oracle.ts";
import { readRecording } from "../oracle/recording.ts";
import { withoutTimestamp } from "../oracle/tree.ts";

const test = suite("oracle against setA");
const built = buildOracle();
const recording = readRecording();

if (built.kind === "missing") {
  console.log(`SKIPPED the oracle against setA: ${built.why}`);
  test.skip("recorded containers");
} else if (recording === undefined) {
  console.log("SKIPPED the oracle against setA: this checkout has no test/fixtures/setA");
  test.skip("recorded containers");
} else {
  const pods = recording.objects.filter(
    ({ kind }) => kind === "Pod",
  ) as unknown as readonly PodName[];
  const bundle: Bundle = {
    node: "node1",
    gates: {},
    objects: recording.objects,
    tokens: pods.map(({ metadata: { namespace, name } }) => ({
      namespace,
      pod: name,
      audience: "",
      token: "any",
    })),
    podIP: "192.0.2.2",
  };

  test("the oracle gives each recorded container the environment that a real kubelet gave it", () => {
    const views = askEnvironments(built.file, bundle);
    for (const recorded of recording.containers) {
      const pod = views.find(
        ({ namespace, name }) => namespace === recorded.namespace && name === recorded.pod,
      );
      const container = pod?.containers.find(({ name }) => name === recorded.container);
      assert.ok(container !== undefined && container.error === undefined, recorded.file);
      const env = Object.fromEntries(
        Object.entries(container.env).filter(([name]) => !serviceIsYounger(name, recorded.env)),
      );
      assert.deepEqual(env, withoutImage(recorded.env, container.env), recorded.file);
      assert.deepEqual(
        [...(container.command ?? []), ...(container.args ?? [])],
        recorded.argv,
        recorded.file,
      );
    }
  });

  if (process.getuid?.() !== 0) {
    console.log("SKIPPED the oracle's volumes against setA: not root");
  } else {
    test("the oracle writes each recorded volume as a real kubelet wrote it", () => {
      const views = askVolumes(built.file, bundle);
      let compared = 0;
      for (const recorded of recording.containers) {
        const pod = views.find(
          ({ namespace, name }) => namespace === recorded.namespace && name === recorded.pod,
        );
        for (const { listing, volumeMount } of Object.values(recorded.volumeMounts)) {
          const volume = pod?.volumes[volumeMount.name];
          if (listing === undefined || volume === undefined || volumeMount.subPath !== undefined) {
            continue;
          }
          assert.deepEqual(
            comparable(volume.entries),
            comparable(listing),
            `${recorded.file} ${volumeMount.name}`,
          );
          compared += 1;
        }
      }
      assert.ok(compared >= 10, `${compared} volumes compared`);
    });
  }
}

interface PodName {
  readonly metadata: { readonly namespace: string; readonly name: string };
}

/** PATH, HOSTNAME, HOME come from the image and the runtime, unless the pod sets them. */
function withoutImage(
  recorded: Readonly<Record<string, unknown>>,
  ours: Readonly<Record<string, unknown>>,
): object {
  const foreign = ["PATH", "HOSTNAME", "HOME"];
  return Object.fromEntries(
    Object.entries(recorded).filter(([name]) => !foreign.includes(name) || name in ours),
  );
}

/** Pods that started before Service kube-dns existed do not know it. */
function serviceIsYounger(name: string, recorded: Readonly<Record<string, unknown>>): boolean {
  return name.startsWith("KUBE_DNS_") && !(name in recorded);
}

/** Sorted, without the directory's time and, for tokens, without bytes: both differ on every run. */
function comparable(entries: readonly Entry[] | null): object[] {
  return withoutTimestamp(entries ?? [])
    .map(({ path, type, mode, uid, gid, target, sha256 }) => ({
      path,
      type,
      mode,
      uid,
      gid,
      target,
      sha256: path.endsWith("/token") ? undefined : sha256,
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

test.run();
