import type { Container, Pod } from "../model/kubernetes.ts";
import type { PodContext } from "./pod-context.ts";

/**
 * Mode and owner of a token file, before the pod's fsGroup is applied.
 *
 * Pure. Source: v1.37.2 `volume/projected/projected.go: collectData(), resolveFsUser()`.
 *
 * @param user the source's own or the volume's default (1.37), which win over the containers' user
 */
export function tokenUser(
  { pod }: PodContext,
  defaultMode: number,
  user: number | undefined,
): { readonly mode: number; readonly user: number | undefined } {
  const owner = user ?? commonUser(pod);
  const isPrivate = owner !== undefined || fsGroupOf(pod) !== undefined;
  return { mode: isPrivate ? 0o600 : defaultMode, user: owner };
}

/** Pure. The group that the pod's volumes are given. */
export function fsGroupOf(pod: Pod): number | undefined {
  return pod.spec.securityContext?.fsGroup ?? undefined;
}

/**
 * Pure. The user that all containers share; undefined when one has none or two differ.
 *
 * Source: v1.37.2 `volume/util/util.go: FsUserFrom()`.
 */
function commonUser({ spec }: Pod): number | undefined {
  const users = [...(spec.initContainers ?? []), ...spec.containers].map(
    ({ securityContext }: Container) =>
      securityContext?.runAsUser ?? spec.securityContext?.runAsUser ?? undefined,
  );
  const [first] = users;
  return users.every((user) => user === first) ? first : undefined;
}

/**
 * A directory's mode once the volume belongs to a group.
 *
 * Pure. Source: v1.37.2 `volume/volume_linux.go: changeFilePermission()` for read-only volumes.
 */
export function directoryMode(mode: number, fsGroup: number | undefined): number {
  return fsGroup === undefined ? mode : mode | 0o2550;
}

/** Pure. A file's mode once the volume belongs to a group; source as for directories. */
export function fileMode(mode: number, fsGroup: number | undefined): number {
  return fsGroup === undefined ? mode : mode | 0o440;
}
