import type { KubernetesObject, PodSpec } from "../model/kubernetes.ts";
import type { Volume } from "../model/volume-sources.ts";
import type { PodContext } from "./pod-context.ts";

/** Source: v1.37.2 `pkg/volume/util/util.go: VolumeGidAnnotationKey`. */
const groupAnnotation = "pv.beta.kubernetes.io/gid";

/** Largest group id that a manifest may name. Source: apimachinery v0.37.2 `IsValidGroupID`. */
const maxGroup = 2_147_483_647;

/**
 * The security context with the groups that PersistentVolumes brought: a static pod has no such volumes.
 *
 * Pure. Empty when there is nothing to add.
 * Source: v1.37.2 `volume_manager.go: GetExtraSupplementalGroupsForPod()`.
 *
 * @param volumes the static pod's; only the parent's volumes of these names were mounted
 */
export function planGroups(
  context: PodContext,
  volumes: readonly Volume[],
): Pick<PodSpec, "securityContext"> {
  const { spec } = context.pod;
  const mounted = new Set(volumes.map(({ name }) => name));
  const given = spec.securityContext?.["supplementalGroups"];
  const groups: readonly unknown[] = Array.isArray(given) ? given : [];
  const brought = (spec.volumes ?? [])
    .filter(({ name }) => mounted.has(name))
    .map((volume) => groupOf(persistentVolume(context, volume)))
    .filter((group) => group !== undefined && !groups.includes(group));
  return brought.length === 0
    ? {}
    : {
        securityContext: {
          ...spec.securityContext,
          supplementalGroups: [...groups, ...new Set(brought)],
        },
      };
}

function persistentVolume(context: PodContext, volume: Volume): KubernetesObject | undefined {
  const { claimName } = volume.persistentVolumeClaim ?? {};
  if (claimName === undefined) {
    return undefined;
  }
  const claim = context.index.find("PersistentVolumeClaim", context.namespace, claimName);
  const spec = claim?.["spec"];
  const name =
    typeof spec === "object" && spec !== null && "volumeName" in spec ? spec.volumeName : undefined;
  return typeof name === "string" ? context.index.find("PersistentVolume", "", name) : undefined;
}

function groupOf(volume: KubernetesObject | undefined): number | undefined {
  const text = volume?.metadata.annotations?.[groupAnnotation] ?? "";
  const group = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  return group <= maxGroup ? group : undefined;
}
