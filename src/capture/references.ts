import type { Container, Pod } from "../model/kubernetes.ts";
import type { KeyToPath, ProjectedSource, Volume } from "../model/volume-sources.ts";

/** One object that a pod needs before the kubelet starts it. */
export interface Reference {
  readonly kind: "Secret" | "ConfigMap" | "PersistentVolumeClaim";
  readonly namespace: string;
  readonly name: string;
  /** A missing object or key stops nothing. */
  readonly optional: boolean;
  /** Keys that must be there. */
  readonly keys: readonly string[];
  /** False for an env value of a ConfigMap: the kubelet looks at `data` only. */
  readonly binary: boolean;
  /** The field of the pod that refers: `spec.containers[0].env[3].valueFrom.secretKeyRef`. */
  readonly field: string;
}

/**
 * Lists what the kubelet fetches for a pod, in the order of the pod's fields.
 *
 * Pure. Volumes that no container mounts are left out: the kubelet never looks at them. So are pull
 * secrets and ephemeral containers, which a static pod cannot have.
 * Source: kubernetes v1.37.2 `pkg/kubelet/kubelet_pods.go: makeEnvironmentVariables`,
 * `pkg/volume/util/util.go: GetPodVolumeNames`, `pkg/volume/{secret,configmap,projected}`.
 */
export function referencesOf(pod: Pod): readonly Reference[] {
  const namespace = pod.metadata.namespace ?? "default";
  const containers = [
    ...fieldsOf("spec.initContainers", pod.spec.initContainers),
    ...fieldsOf("spec.containers", pod.spec.containers),
  ];
  const isMounted = mountedIn(pod);
  const found = [
    ...fieldsOf("spec.volumes", pod.spec.volumes)
      .filter(([volume]) => isMounted(volume))
      .flatMap(([volume, field]) => volumeReferences(volume, field)),
    ...containers.flatMap(([container, field]) => [
      ...envFromReferences(container, field),
      ...envReferences(container, field),
    ]),
  ];
  return found.map((reference) => ({ ...reference, namespace }));
}

/** Pure. Tells the volumes that a container of the pod mounts; the kubelet never looks at the others. */
export function mountedIn({ spec }: Pod): (volume: Volume) => boolean {
  const names = new Set(
    [...(spec.initContainers ?? []), ...spec.containers].flatMap(
      ({ volumeMounts, volumeDevices }) =>
        [...(volumeMounts ?? []), ...(volumeDevices ?? [])].map(({ name }) => name),
    ),
  );
  return ({ name }) => names.has(name);
}

/** Pure. The pod's service account; the older of its two names counts where the newer is empty. */
export function serviceAccountOf({ spec }: Pod): string {
  const { serviceAccountName = "", serviceAccount = "" } = spec;
  return [serviceAccountName, serviceAccount, "default"].find((name) => (name ?? "") !== "") ?? "";
}

type Found = Omit<Reference, "namespace">;

function volumeReferences(volume: Volume, field: string): readonly Found[] {
  const { secret, configMap, projected, persistentVolumeClaim } = volume;
  if (secret) {
    const { secretName, optional, items } = secret;
    return [reference("Secret", secretName, optional, keysOf(items), `${field}.secret`)];
  }
  if (configMap) {
    const { name, optional, items } = configMap;
    return [reference("ConfigMap", name, optional, keysOf(items), `${field}.configMap`)];
  }
  if (persistentVolumeClaim) {
    const { claimName } = persistentVolumeClaim;
    const path = `${field}.persistentVolumeClaim`;
    return [reference("PersistentVolumeClaim", claimName, false, [], path)];
  }
  return fieldsOf(`${field}.projected.sources`, projected?.sources).flatMap(([source, path]) =>
    sourceReferences(source, path),
  );
}

function sourceReferences(source: ProjectedSource, field: string): readonly Found[] {
  const { secret, configMap } = source;
  if (secret) {
    const { name, optional, items } = secret;
    return [reference("Secret", name, optional, keysOf(items), `${field}.secret`)];
  }
  if (configMap) {
    const { name, optional, items } = configMap;
    return [reference("ConfigMap", name, optional, keysOf(items), `${field}.configMap`)];
  }
  return [];
}

function envFromReferences(container: Container, field: string): readonly Found[] {
  return fieldsOf(`${field}.envFrom`, container.envFrom).flatMap(([source, path]) => {
    const { configMapRef, secretRef } = source;
    if (configMapRef) {
      const { name, optional } = configMapRef;
      return [reference("ConfigMap", name, optional, [], `${path}.configMapRef`)];
    }
    return secretRef
      ? [reference("Secret", secretRef.name, secretRef.optional, [], `${path}.secretRef`)]
      : [];
  });
}

function envReferences(container: Container, field: string): readonly Found[] {
  return fieldsOf(`${field}.env`, container.env).flatMap(([variable, path]) => {
    const { value, valueFrom } = variable;
    // A literal wins over a source, then the sources in this order, as in the kubelet.
    if ((value ?? "") !== "" || !valueFrom || valueFrom.fieldRef || valueFrom.resourceFieldRef) {
      return [];
    }
    const { configMapKeyRef, secretKeyRef } = valueFrom;
    if (configMapKeyRef) {
      const { name, key, optional } = configMapKeyRef;
      const at = `${path}.valueFrom.configMapKeyRef`;
      return [{ ...reference("ConfigMap", name, optional, [key], at), binary: false }];
    }
    if (secretKeyRef) {
      const { name, key, optional } = secretKeyRef;
      return [reference("Secret", name, optional, [key], `${path}.valueFrom.secretKeyRef`)];
    }
    return [];
  });
}

function reference(
  kind: Reference["kind"],
  name: string | undefined | null,
  optional: boolean | undefined | null,
  keys: readonly string[],
  field: string,
): Found {
  return { kind, name: name ?? "", optional: optional === true, keys, binary: true, field };
}

function keysOf(items: readonly KeyToPath[] | null | undefined): readonly string[] {
  return (items ?? []).map(({ key }) => key);
}

/** Each element with its place, `field[index]`. */
function fieldsOf<Item>(
  field: string,
  items: readonly Item[] | null | undefined,
): readonly (readonly [Item, string])[] {
  return (items ?? []).map((item, index) => [item, `${field}[${index}]`] as const);
}
