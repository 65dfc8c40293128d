import type { ContainerStatus, Pod } from "../model/kubernetes.ts";

/** An image that a pod uses somewhere. */
export interface ImageUse {
  readonly namespace: string;
  readonly pod: string;
  /** `containers/NAME`, `initContainers/NAME` or `volumes/NAME`. */
  readonly place: string;
  /** As in the pod's spec. */
  readonly name: string;
  /** What the pod's status says that ran, as the runtime takes it; undefined where nothing has run yet. */
  readonly ran: string | undefined;
}

/** Pure. The images of pods: those of all containers, then those of the image volumes that one of them mounts. */
export function imageUses(pods: readonly Pod[]): readonly ImageUse[] {
  return pods.flatMap((pod) => {
    const { namespace = "default", name } = pod.metadata;
    return usesOf(pod).map((use) => ({ namespace, pod: name, ...use }));
  });
}

/** Pure. What is to be asked of the runtime: each name, digest and id once, sorted. */
export function imageQuestions(uses: readonly ImageUse[]): readonly string[] {
  return [...new Set(uses.flatMap(({ name, ran = name }) => [name, ran]))].sort();
}

function usesOf({ spec, status }: Pod): readonly Pick<ImageUse, "place" | "name" | "ran">[] {
  const lists = [
    { list: "initContainers", all: spec.initContainers, statuses: status?.initContainerStatuses },
    { list: "containers", all: spec.containers, statuses: status?.containerStatuses },
  ];
  const containers = lists.flatMap(({ list, all, statuses }) =>
    (all ?? []).flatMap(({ name, image = "" }) => {
      const found = statuses?.find((one) => one.name === name);
      return image === ""
        ? []
        : [{ place: `${list}/${name}`, name: image, ran: referenceOf(found?.["imageID"]) }];
    }),
  );
  const mounts = lists.flatMap(({ all }) => all ?? []).flatMap((one) => one.volumeMounts ?? []);
  const statuses = lists.flatMap((one) => one.statuses ?? []);
  const volumes = (spec.volumes ?? []).flatMap(({ name, image }) => {
    const reference = image?.["reference"];
    return typeof reference === "string" &&
      reference !== "" &&
      mounts.some((mount) => mount.name === name)
      ? [{ place: `volumes/${name}`, name: reference, ran: mountedImage(statuses, name) }]
      : [];
  });
  return [...containers, ...volumes];
}

/**
 * The image that a volume holds, as a kubelet tells it that has the gate `ImageVolumeWithDigest`.
 *
 * Source: k8s.io/api v0.37.2 `core/v1/types.go: VolumeMountStatus`.
 */
function mountedImage(statuses: readonly ContainerStatus[], volume: string): string | undefined {
  for (const status of statuses) {
    const mounts = status["volumeMounts"];
    for (const mount of Array.isArray(mounts) ? mounts : []) {
      const image = fieldOf(fieldOf(mount, "volumeStatus"), "image");
      const reference = referenceOf(fieldOf(image, "imageRef"));
      if (fieldOf(mount, "name") === volume && reference !== undefined) {
        return reference;
      }
    }
  }
  return undefined;
}

/** Without the scheme that Docker's runtimes put before it, such as `docker-pullable://`. */
function referenceOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value.replace(/^[a-z-]+:\/\//, "") : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
