import assert from "node:assert/strict";
import { suite } from "uvu";
import { containerPod, manifestOf, planOf } from "./plan-of.ts";

const test = suite("plan/groups");

const claim = {
  kind: "PersistentVolumeClaim",
  metadata: { name: "data", namespace: "prod" },
  spec: { volumeName: "pv" },
};
const persistent = (gid: string) => ({
  kind: "PersistentVolume",
  metadata: { name: "pv", annotations: { "pv.beta.kubernetes.io/gid": gid } },
  spec: { hostPath: { path: "/srv" } },
});
const mount = { volumeMounts: [{ name: "v", mountPath: "/v" }] };
const volumes = [{ name: "v", persistentVolumeClaim: { claimName: "data" } }];

const cases = [
  {
    name: "the group of a mounted PersistentVolume joins the pod's own",
    objects: [
      containerPod(mount, { volumes, securityContext: { runAsUser: 5, supplementalGroups: [7] } }),
      claim,
      persistent("4242"),
    ],
    made: { runAsUser: 5, supplementalGroups: [7, 4242] },
  },
  {
    name: "a group that the pod has already is not named twice",
    objects: [
      containerPod(mount, { volumes, securityContext: { supplementalGroups: [4242] } }),
      claim,
      persistent("4242"),
    ],
    made: { supplementalGroups: [4242] },
  },
  {
    name: "a volume that no container mounts brings no group",
    objects: [containerPod({}, { volumes }), claim, persistent("4242")],
    made: undefined,
  },
  {
    name: "what is no group id brings nothing",
    objects: [containerPod(mount, { volumes }), claim, persistent("wheel")],
    made: undefined,
  },
];

for (const { name, objects, made } of cases) {
  test(name, () => {
    assert.deepEqual(manifestOf(planOf(objects)).spec["securityContext"], made);
  });
}

test.run();
