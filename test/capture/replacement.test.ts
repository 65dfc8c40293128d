import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  awaitedWorkloads,
  formerPod,
  isSuccessor,
  Patience,
} from "../../src/capture/replacement.ts";
import type { KubernetesObject, Pod } from "../../src/model/kubernetes.ts";

const replacement = suite("capture/replacement");

interface Wanted {
  readonly uid: string;
  readonly name?: string;
  readonly owner?: { readonly kind: string; readonly name: string };
  readonly ending?: "deleted" | "Failed" | "Succeeded";
}

const etcd = { kind: "DaemonSet", name: "etcd" };

function pod({ uid, name = `pod-${uid}`, owner, ending }: Wanted): Pod {
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: {
      name,
      namespace: "kube-system",
      uid,
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner, controller: true }] }),
      ...(ending === "deleted" ? { deletionTimestamp: "2026-11-25T12:00:00Z" } : {}),
    },
    spec: { containers: [] },
    ...(ending === undefined || ending === "deleted" ? {} : { status: { phase: ending } }),
  };
}

const cases: readonly {
  readonly name: string;
  readonly former: readonly Wanted[];
  readonly selected: readonly Wanted[];
  /** Present and not selected. */
  readonly others?: readonly Wanted[];
  readonly awaited: readonly string[];
}[] = [
  {
    name: "nothing is awaited while the pod runs",
    former: [{ uid: "a", owner: etcd }],
    selected: [{ uid: "a", owner: etcd }],
    awaited: [],
  },
  {
    name: "a deleted pod of a controller is awaited",
    former: [{ uid: "a", owner: etcd }],
    selected: [],
    awaited: ["kube-system/DaemonSet/etcd"],
  },
  {
    name: "a pod that is being deleted is awaited",
    former: [{ uid: "a", owner: etcd }],
    selected: [],
    others: [{ uid: "a", owner: etcd, ending: "deleted" }],
    awaited: ["kube-system/DaemonSet/etcd"],
  },
  {
    name: "a pod that has failed is awaited",
    former: [{ uid: "a", owner: etcd }],
    selected: [],
    others: [{ uid: "a", owner: etcd, ending: "Failed" }],
    awaited: ["kube-system/DaemonSet/etcd"],
  },
  {
    name: "its successor ends the wait",
    former: [{ uid: "a", owner: etcd }],
    selected: [{ uid: "b", owner: etcd }],
    others: [{ uid: "a", owner: etcd, ending: "deleted" }],
    awaited: [],
  },
  {
    name: "one of two replicas is missed",
    former: [
      { uid: "a", owner: etcd },
      { uid: "b", owner: etcd },
    ],
    selected: [{ uid: "b", owner: etcd }],
    awaited: ["kube-system/DaemonSet/etcd"],
  },
  {
    name: "a pod that is chosen no longer is not awaited",
    former: [{ uid: "a", owner: etcd }],
    selected: [],
    others: [{ uid: "a", owner: etcd }],
    awaited: [],
  },
  {
    name: "a pod that stands alone is not awaited",
    former: [{ uid: "a" }],
    selected: [],
    awaited: [],
  },
  {
    name: "a new ReplicaSet of the same Deployment is the successor",
    former: [{ uid: "a", owner: { kind: "ReplicaSet", name: "web-6f7c9d" } }],
    selected: [{ uid: "b", owner: { kind: "ReplicaSet", name: "web-5d8b4f" } }],
    awaited: [],
  },
  {
    name: "another workload is no successor",
    former: [{ uid: "a", owner: etcd }],
    selected: [{ uid: "b", owner: { kind: "DaemonSet", name: "proxy" } }],
    awaited: ["kube-system/DaemonSet/etcd"],
  },
];

for (const { name, former, selected, others = [], awaited } of cases) {
  replacement(name, () => {
    const chosen = selected.map(pod);
    const present: readonly KubernetesObject[] = [...chosen, ...others.map(pod)];
    const found = awaitedWorkloads(former.map(pod).map(formerPod), chosen, present);
    assert.deepEqual(
      found.map(({ workload }) => workload),
      awaited,
    );
  });
}

const second = 1_000;
const etcdAwaited = (isEnding: boolean) => [{ workload: "kube-system/DaemonSet/etcd", isEnding }];

replacement("a controller has half a minute from when the old pod has gone", () => {
  const patience = new Patience();
  assert.equal(patience.until(etcdAwaited(true), 0), 600 * second);
  assert.equal(patience.until(etcdAwaited(true), 45 * second), 600 * second);
  assert.equal(patience.until(etcdAwaited(false), 50 * second), 80 * second);
  assert.equal(patience.until(etcdAwaited(false), 79 * second), 80 * second);
  assert.equal(patience.until(etcdAwaited(false), 80 * second), undefined);
});

replacement("an old pod that never ends is waited for ten minutes", () => {
  const patience = new Patience();
  patience.until(etcdAwaited(true), 0);
  assert.equal(patience.until(etcdAwaited(true), 600 * second), undefined);
});

replacement("each workload has its own time, and a new one the next time", () => {
  const patience = new Patience();
  const proxy = { workload: "kube-system/DaemonSet/proxy", isEnding: false };
  patience.until(etcdAwaited(false), 0);
  assert.equal(patience.until(etcdAwaited(false), 30 * second), undefined);
  assert.equal(patience.until([...etcdAwaited(false), proxy], 31 * second), 61 * second);
  assert.equal(patience.until([proxy], 61 * second), undefined);
  assert.equal(patience.until(etcdAwaited(false), 70 * second), 100 * second);
});

replacement("a clock that is set back puts nothing off", () => {
  const patience = new Patience();
  patience.until(etcdAwaited(false), 1_000 * second);
  assert.equal(patience.until(etcdAwaited(false), 0), 30 * second);
});

replacement("the same name or the same workload makes a successor", () => {
  const former = formerPod(pod({ uid: "a", name: "etcd-1", owner: etcd }));
  assert.ok(isSuccessor(former, pod({ uid: "b", name: "etcd-1" })));
  assert.ok(isSuccessor(former, pod({ uid: "b", name: "etcd-2", owner: etcd })));
  assert.ok(!isSuccessor(former, pod({ uid: "b", name: "etcd-2" })));
});

replacement.run();
