import assert from "node:assert/strict";
import { suite } from "uvu";
import type { Json } from "../api.ts";
import { type ContainerView, viewContainer } from "./container-view.ts";
import type { RunningContainer } from "./containers.ts";
import { namespace } from "./fidelity-pod.ts";
import { fidelityObjects, pods } from "./fidelity-workloads.ts";
import type { Node } from "./node.ts";
import { isParent, isReady } from "./projected.ts";
import { cutPower, handAllBack, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { impatient, makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const fidelity = suite("e2e/node/fidelity");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED comparing restored containers with those of the API: ${lacking}`);
}
const scenario = lacking === undefined ? fidelity : fidelity.skip;

interface Difference {
  readonly attribute: RegExp;
  readonly why: string;
  /** What is left of a value must be the same before and after; left out: anything may differ. */
  readonly rest?: (value: string) => string;
}

/** What differs between a pod of the API and its copy, and why that is right. Anything else is a defect. */
const expected: readonly Difference[] = [
  {
    attribute: /^(file \/etc\/hosts|env POD_IPS?)$/,
    why: "each pod gets an address of its own from the network plugin",
    rest: (value) => value.replace(/\b10\.88\.0\.\d+/, "ADDRESS"),
  },
  {
    attribute: /^mount \//,
    why: "all volumes lie on one tmpfs; each of a kubelet's has the pod's memory limit for its size",
    rest: (value) => value.replace(/^(tmpfs ro,\S+ private) (size=\d+k|no size)$/, "$1 SIZE"),
  },
  {
    attribute: /^mount \/volumes\//,
    why: "a kubelet keeps ConfigMaps on its disk; the copies of all volumes are in memory",
    rest: (value) => value.replace(/^(ext4|xfs|btrfs|overlay|tmpfs) (ro,\S+ private).*$/, "$2"),
  },
  {
    attribute: /^specification resources cpu$/,
    why: "copies request nothing, so that their parents are admitted beside them: limits stay, the share does not",
    rest: (value) => value.replace(/"shares":\d+,/, ""),
  },
  {
    attribute: /^oom_score_adj$/,
    why: "for the same reason no copy is of the class Guaranteed, unless its priority is a node's own",
  },
  {
    attribute: /^file \/volumes\/downward\/\.\.TIME\/annotations$/,
    why: "when a kubelet first saw the pod is a note of that kubelet",
    rest: (value) => value.replace(/kubernetes.io\/config.seen="\S+"\n/, ""),
  },
];

scenario("a restored container sees what it saw as a pod of the API", async () => {
  const steps = startSteps("fidelity");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  await switchOn(steps, node);
  const { copies, kubelet } = await recover(steps, node, cluster);
  await handAllBack(steps, node, cluster, copies);
  // A kubelet gives a container the Services that it has heard of, and after its apiserver went it hears late; nothing
  // in the API tells. One that starts anew hears of all first.
  const [services, workloads] = bySeniority(fidelityObjects(node.name));
  await step("create the Services", () => cluster.apply(services));
  await step("stop the kubelet", () => kubelet.stop("SIGTERM"));
  await step("kubelet", () => node.startKubelet(impatient));
  await step("create the workloads", () => cluster.apply(workloads));
  await step("they are Ready", () =>
    eventually("the workloads are Ready", 180_000, async () => {
      const ours = (await cluster.pods()).filter(
        (pod) => pod.metadata.namespace === namespace && isParent(pod),
      );
      const late = ours.filter((pod) => !isReady(pod)).map(({ metadata }) => metadata.name);
      if (late.length > 0 || ours.length !== pods) {
        throw new Error(`${ours.length} of ${pods} pods, late: ${late.join(", ")}`);
      }
      return true;
    }),
  );
  const before = await step("look at them", () => views(node, ""));
  assert.ok(before.size > pods);
  await step("capture", () => succeed(node, "capture"));
  await cutPower(steps, node, cluster);

  await switchOn(steps, node);
  const recovery = await recover(steps, node, cluster);
  assert.equal(recovery.copies.filter((copy) => copy.namespace === namespace).length, pods);
  const after = await step("look at the copies", () => views(node, `-${node.name}`));
  assert.deepEqual([...after.keys()], [...before.keys()]);

  const differences = [...before].flatMap(([container, view]) =>
    differencesOf(container, view, after.get(container) ?? new Map()),
  );
  const attributes = [...before.values()].reduce((sum, { size }) => sum + size, 0);
  console.log(
    `# ${attributes} attributes of ${before.size} containers compared, ${differences.length} differ`,
  );
  for (const { why } of expected) {
    const such = differences.filter((difference) => difference.why === why).length;
    console.log(`# ${String(such).padStart(5)}: ${why}`);
    assert.ok(such > 0, `no longer so: ${why}`);
  }
  assert.deepEqual(
    differences.filter(({ why }) => why === undefined),
    [],
  );
});

/** `pod/container` → what it sees, of the pods of that form. @param suffix  what a static pod's name ends in */
function views(node: Node, suffix: string): ReadonlyMap<string, ContainerView> {
  const isOurs = ({ namespace: of, pod }: RunningContainer) =>
    of === namespace && (suffix === "" ? !pod.endsWith(`-${node.name}`) : pod.endsWith(suffix));
  const found = node
    .containers()
    .filter(isOurs)
    .map((one) => {
      const name = `${one.pod.slice(0, one.pod.length - suffix.length)}/${one.container}`;
      return [name, viewContainer(node, one)] as const;
    });
  return new Map(found.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** What differs; without a reason where nothing in the table explains it. */
function differencesOf(container: string, before: ContainerView, after: ContainerView) {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name) => {
    const [was = "absent", is = "absent"] = [before.get(name), after.get(name)];
    if (was === is) {
      return [];
    }
    const reason = expected.find(
      ({ attribute, rest = () => "" }) => attribute.test(name) && rest(was) === rest(is),
    );
    return [{ container, name, was, is, why: reason?.why }];
  });
}

/** What must be known before the pods start, and the rest. */
function bySeniority(objects: readonly Json[]): readonly [readonly Json[], readonly Json[]] {
  const isFirst = ({ kind }: Json) => kind === "Namespace" || kind === "Service";
  return [objects.filter(isFirst), objects.filter((one) => !isFirst(one))];
}

fidelity.run();
