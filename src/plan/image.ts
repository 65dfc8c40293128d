import { canonicalRepository, repositoryOf } from "../model/image-name.ts";
import type { PlannedImage } from "../model/plan.ts";
import type { PodContext } from "./pod-context.ts";

/**
 * What a copy's manifest names for an image: the digest that ran, so that a tag that has moved cannot bring other
 * bytes; the name where the runtime knew no digest, or the pod has changed since.
 *
 * Pure.
 *
 * @param place  `containers/NAME`, `initContainers/NAME` or `volumes/NAME`
 */
export function imageReference(context: PodContext, place: string, name: string): string {
  return plannedImage(context, place, name).reference;
}

/**
 * Pure. All images that the copy runs, in the order of the pod's spec.
 *
 * @param mounted  names of the volumes that the copy keeps
 */
export function plannedImages(
  context: PodContext,
  mounted: ReadonlySet<string>,
): readonly PlannedImage[] {
  const { spec } = context.pod;
  const containers = [
    ...(spec.initContainers ?? []).map((one) => ({ ...one, list: "initContainers" })),
    ...spec.containers.map((one) => ({ ...one, list: "containers" })),
  ];
  return [
    ...containers.flatMap(({ list, name, image }) =>
      image === undefined ? [] : [plannedImage(context, `${list}/${name}`, image)],
    ),
    ...(spec.volumes ?? []).flatMap(({ name, image }) => {
      const reference = image?.["reference"];
      return typeof reference === "string" && mounted.has(name)
        ? [plannedImage(context, `volumes/${name}`, reference)]
        : [];
    }),
  ];
}

/**
 * The digest, with its repository as the pod spells it: `nginx@sha256:…` for a pod that runs `nginx:1`. A kubelet's pull
 * records name repositories so, and one that lets any pod use `nginx` says nothing of `docker.io/library/nginx`.
 */
function spelledAs(name: string, digest: string): string {
  const repository = repositoryOf(digest);
  const own = repositoryOf(name);
  return canonicalRepository(own) === canonicalRepository(repository)
    ? own + digest.slice(repository.length)
    : digest;
}

function plannedImage(
  { pod, namespace, index }: PodContext,
  place: string,
  name: string,
): PlannedImage {
  const known = index.image(namespace, pod.metadata.name, place);
  const isSame = known?.name === name;
  return {
    place,
    name,
    reference: isSame && known.digest !== undefined ? spelledAs(name, known.digest) : name,
    id: isSame ? known.id : undefined,
  };
}
