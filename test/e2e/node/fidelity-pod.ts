import type { Json } from "../api.ts";

export const namespace = "fidelity";

/** A pod in few words: what is not told is as small as can be. */
export interface PodWish {
  readonly name: string;
  readonly metadata?: Json;
  readonly spec?: Json;
  readonly container?: Json;
  readonly volumes?: readonly (Json & { readonly name: string; readonly mount?: Json })[];
  readonly more?: readonly Json[];
}

/** To one key. */
export const ref = (name: string, key: string, optional?: boolean) => ({ name, key, optional });
/** A variable. */
export const field = (name: string, fieldPath: string) => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});
/** A variable. */
export const resource = (name: string, resourceName: string, divisor?: string) => ({
  name,
  valueFrom: { resourceFieldRef: { resource: resourceName, divisor } },
});

/** Runs until it is stopped, and does nothing. */
export const sleeper = {
  image: "docker.io/library/busybox:lab",
  imagePullPolicy: "IfNotPresent",
  command: ["/bin/sleep", "360000"],
};

/** Pure. Bare, of one node, to be restored. */
export function makePod(nodeName: string, wish: PodWish): Json {
  const { metadata, spec } = makeTemplate(wish);
  const { name } = wish;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, name, namespace },
    spec: { nodeName, ...spec },
  };
}

/** Pure. The pod as a controller's template has it. */
export function makeTemplate({ metadata = {}, spec = {}, container = {}, ...rest }: PodWish) {
  const { volumes = [], more = [] } = rest;
  const annotations = {
    "blackstart.dev/checkpoint": "true",
    ...(metadata["annotations"] as object),
  };
  const mounts = volumes.map(({ name: volume, mount = {} }) => ({
    name: volume,
    mountPath: `/volumes/${volume}`,
    ...mount,
  }));
  return {
    metadata: { ...metadata, annotations },
    spec: {
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: "Exists" }],
      ...spec,
      volumes: volumes.map(({ mount: _, ...volume }) => volume),
      containers: [{ ...sleeper, name: "main", ...container, volumeMounts: mounts }, ...more],
    },
  };
}
