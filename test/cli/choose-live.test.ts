import assert from "node:assert/strict";
import { suite } from "uvu";
import { chooseLive } from "../../src/cli/choose-live.ts";
import { Failure } from "../../src/errors.ts";
import { makeObject, makePod } from "../capture/made.ts";

const choose = suite("cli/choose-live");

const pod = makePod("claims", {
  nodeName: "n1",
  volumes: [{ name: "v", persistentVolumeClaim: { claimName: "claim" } }],
  containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
});
const claim = makeObject("PersistentVolumeClaim", "claim", { spec: { volumeName: "volume" } });
const refusal = new Failure("E_API_FORBIDDEN", { what: "no" });
const newest = {
  generation: 7,
  pods: [{ namespace: "kube-system", name: "old", uid: "u", workload: undefined }],
};

choose("a volume that the apiserver refuses to show is told as refused, not as missing", () => {
  const refused = new Map([["PersistentVolume//volume", refusal]]);
  const view = { pods: [pod], objects: [claim], refused, pending: [], failures: [] };
  const choice = { node: "n1", selection: { kind: "all" }, newest, allowEmpty: false } as const;
  assert.deepEqual(
    chooseLive(view, choice).skipped.map(({ code }) => code),
    ["E_API_FORBIDDEN"],
  );
});

choose.run();
