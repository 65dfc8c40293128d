import { Failure } from "../errors.ts";

/**
 * Proves that a manifest names no API object, by the kubelet's own rule, on the finished JSON.
 *
 * Pure. Stricter than the rule in one way: a volume source that it does not know is refused where the
 * kubelet, which drops fields it does not know, would silently make it an emptyDir.
 * Source: v1.37.2 `pkg/api/pod/util.go: HasAPIObjectReference(), VisitPodSecretNames()`.
 *
 * @throws {Failure} E_REFERENCE_LEFT only when a reference is left
 */
export function checkNoReferences(manifest: Readonly<Record<string, unknown>>, pod: string): void {
  const field = findReference(recordOf(manifest["spec"]));
  if (field !== undefined) {
    throw new Failure("E_REFERENCE_LEFT", {
      what: `${pod} would still name an API object, and the kubelet would ignore the manifest`,
      where: field,
      next: "Report this pod's shape: the projection has missed it",
    });
  }
}

type Fields = Readonly<Record<string, unknown>>;

const plainSources = new Set([
  "awsElasticBlockStore",
  "azureDisk",
  "cephfs",
  "cinder",
  "downwardAPI",
  "emptyDir",
  "fc",
  "flexVolume",
  "flocker",
  "gcePersistentDisk",
  "gitRepo",
  "hostPath",
  "image",
  "iscsi",
  "nfs",
  "photonPersistentDisk",
  "portworxVolume",
  "quobyte",
  "rbd",
  "scaleIO",
  "storageos",
  "vsphereVolume",
]);

function findReference(spec: Fields): string | undefined {
  for (const field of ["serviceAccountName", "serviceAccount"]) {
    if (isSet(spec[field])) {
      return `spec.${field}`;
    }
  }
  for (const field of ["imagePullSecrets", "resourceClaims", "ephemeralContainers"]) {
    if (listOf(spec[field]).length > 0) {
      return `spec.${field}`;
    }
  }
  for (const kind of ["initContainers", "containers"]) {
    for (const [at, container] of listOf(spec[kind]).entries()) {
      const found = inContainer(container);
      if (found !== undefined) {
        return `spec.${kind}[${at}].${found}`;
      }
    }
  }
  for (const [at, volume] of listOf(spec["volumes"]).entries()) {
    const found = inVolume(volume);
    if (found !== undefined) {
      return `spec.volumes[${at}].${found}`;
    }
  }
  return undefined;
}

function inContainer(container: Fields): string | undefined {
  for (const [at, source] of listOf(container["envFrom"]).entries()) {
    if (isSet(source["secretRef"]) || isSet(source["configMapRef"])) {
      return `envFrom[${at}]`;
    }
  }
  for (const [at, entry] of listOf(container["env"]).entries()) {
    const from = recordOf(entry["valueFrom"]);
    if (isSet(from["secretKeyRef"]) || isSet(from["configMapKeyRef"])) {
      return `env[${at}].valueFrom`;
    }
  }
  return listOf(recordOf(container["resources"])["claims"]).length > 0
    ? "resources.claims"
    : undefined;
}

function inVolume(volume: Fields): string | undefined {
  const sources = Object.keys(volume).filter((field) => field !== "name" && isSet(volume[field]));
  for (const source of sources) {
    if (source === "projected") {
      const projected = listOf(recordOf(volume[source])["sources"]);
      const bad = projected.findIndex((one) =>
        Object.keys(one).some((field) => field !== "downwardAPI"),
      );
      if (bad >= 0) {
        return `projected.sources[${bad}]`;
      }
    } else if (
      !plainSources.has(source) ||
      isSet(recordOf(recordOf(volume[source])["secretRef"])["name"])
    ) {
      return source;
    }
  }
  return undefined;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function recordOf(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}
