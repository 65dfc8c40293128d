import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { selectEach } from "../../src/capture/live-selection.ts";
import { selectPods } from "../../src/capture/select.ts";
import type { Selection } from "../../src/config.ts";
import { rejects } from "../rejects.ts";
import { makePod, objectsOf } from "./made.ts";

const live = suite("capture/live-selection");

const checkpoint = "blackstart.dev/checkpoint";
const annotate = (value: string) => ({ annotations: { [checkpoint]: value } });
const selector = {
  kind: "selector",
  namespaces: ["kube-system"],
  labelSelector: undefined,
  priorityClassNames: [],
} as const;
const selections: readonly Selection[] = [{ kind: "annotated" }, { kind: "all" }, selector];

for (const selection of selections) {
  live(
    `where no annotation is malformed, chooses as for objects on disk: ${selection.kind}`,
    async () => {
      for (const file of ["setA/objects/pods.json", "objects/never.yaml"]) {
        const text = readFileSync(new URL(`../fixtures/${file}`, import.meta.url), "utf8");
        const objects = await objectsOf(text);
        const { unprojectable, ...chosen } = selectEach(objects, selection, "node1");
        assert.deepEqual(chosen, selectPods(objects, selection, "node1"));
        assert.deepEqual(unprojectable, []);
      }
    },
  );

  for (const value of ["yes", "TRUE", "", "x".repeat(100_000)]) {
    live(
      `${JSON.stringify(value.slice(0, 9))} costs only its own pod: ${selection.kind}`,
      async () => {
        const bad = makePod("bad", {}, { ...annotate(value), namespace: "tenant" });
        const pods = [makePod("a", {}, annotate("true")), bad, makePod("b", {}, annotate("false"))];
        await rejects(() => selectPods(pods, selection, "n1"), "E_ANNOTATION");
        const { selected, ignored, unprojectable } = selectEach(pods, selection, "n1");
        assert.deepEqual(selected, [pods[0]]);
        assert.deepEqual(
          ignored.map(({ name }) => name),
          ["b"],
        );
        assert.deepEqual(
          unprojectable.map(({ namespace, name, code }) => ({ namespace, name, code })),
          [{ namespace: "tenant", name: "bad", code: "E_ANNOTATION" }],
        );
        assert.ok((unprojectable[0]?.message.length ?? 1_000) < 400);
      },
    );
  }
}

live("a malformed annotation of a pod that is never captured is nobody's trouble", () => {
  const mirror = { "kubernetes.io/config.mirror": "x", [checkpoint]: "yes" };
  const { ignored, unprojectable } = selectEach(
    [makePod("m", {}, { annotations: mirror })],
    { kind: "annotated" },
    "n1",
  );
  assert.deepEqual(unprojectable, []);
  assert.equal(ignored[0]?.code, "I_STATIC");
});

live("a malformed label selector fails the whole, with or without pods", async () => {
  const malformed = { ...selector, labelSelector: "a in" };
  for (const pods of [[], [makePod("a")]]) {
    await rejects(() => selectEach(pods, malformed, "n1"), "E_CONFIG");
  }
});

live.run();
