import type { Containers } from "./generate-containers.ts";
import { resourceFieldRef } from "./generate-env.ts";
import type { Source, Sources } from "./generate-sources.ts";
import type { Json } from "./oracle.ts";
import type { Random } from "./random.ts";
import { annotationKeys, itemPaths, labelKeys, modes, mountPaths, oddPaths } from "./strings.ts";

/** Pure. The pod's volumes, and its containers again with their mounts. */
export function generateVolumes(choose: Random, sources: Sources, containers: Containers): Json {
  const volumes = Array.from({ length: choose.int(6) }, (_, index) => ({
    name: `v${index}`,
    ...volumeSource(choose, sources),
  }));
  const volumeNames = volumes.map(({ name }) => name);
  const withMounts = (container: Json): Json => ({
    ...container,
    volumeMounts: mounts(choose, volumeNames),
  });
  return {
    volumes,
    containers: containers.containers.map(withMounts),
    ...(containers.initContainers === undefined
      ? {}
      : { initContainers: containers.initContainers.map(withMounts) }),
  };
}

function mounts(choose: Random, volumeNames: readonly string[]): Json[] {
  if (volumeNames.length === 0) {
    return [];
  }
  // The paths are distinct as written, which is all that an apiserver asks.
  return choose
    .some(mountPaths, 6)
    .map((mountPath) => {
      const readOnly = choose.chance(0.4) ? { readOnly: choose.chance(0.6) } : {};
      return {
        name: choose.pick(volumeNames as readonly [string, ...string[]]),
        mountPath,
        ...readOnly,
        ...(readOnly.readOnly === true && choose.chance(0.2)
          ? { recursiveReadOnly: "IfPossible" }
          : {}),
        ...(readOnly.readOnly !== true && choose.chance(0.15)
          ? { mountPropagation: choose.pick(["None", "HostToContainer"]) }
          : {}),
        ...(choose.chance(0.15)
          ? { subPath: choose.pick(["A", "dir", "dir/a", "absent", "dir//a"]) }
          : {}),
        ...(choose.chance(0.03)
          ? { subPathExpr: choose.pick(["$(A)", "x-$(POD_NAME)", "$$(A)", "plain", "$(A)/$(B)"]) }
          : {}),
      };
    })
    .map((mount) =>
      "subPath" in mount && "subPathExpr" in mount ? { ...mount, subPath: undefined } : mount,
    );
}

function volumeSource(choose: Random, sources: Sources): Json {
  const defaults = {
    ...(choose.chance(0.5) ? { defaultMode: choose.pick(modes) } : {}),
    ...(choose.chance(0.15) ? { defaultUser: choose.pick([0, 1234]) } : {}),
  };
  const roll = choose.int(20);
  if (roll < 5) {
    const { name, ...rest } = reference(choose, sources.secrets);
    return { secret: { secretName: name, ...rest, ...defaults } };
  }
  if (roll < 9) {
    return { configMap: { ...reference(choose, sources.configMaps), ...defaults } };
  }
  if (roll < 11) {
    return {
      downwardAPI: { items: downwardItems(choose, choose.some(itemPaths, 4)), ...defaults },
    };
  }
  if (roll < 17) {
    return { projected: { sources: projectedSources(choose, sources), ...defaults } };
  }
  return choose.pick([
    {},
    { emptyDir: choose.pick<Json>([{}, { medium: "Memory" }, { sizeLimit: "1Gi" }]) },
    { hostPath: { path: "/srv/x", ...(choose.chance(0.5) ? { type: "DirectoryOrCreate" } : {}) } },
    { nfs: { server: "nfs.example.com", path: "/x", readOnly: choose.chance(0.5) } },
    {
      image: {
        reference: "registry.example.com/models:1",
        ...(choose.chance(0.5) ? { pullPolicy: "Always" } : {}),
      },
    },
    ...sources.claims.map((claimName) => ({
      persistentVolumeClaim: { claimName, ...(choose.chance(0.3) ? { readOnly: true } : {}) },
    })),
  ] as readonly [Json, ...Json[]]);
}

interface Reference {
  readonly name: string;
  readonly optional?: boolean;
  readonly items?: readonly Json[];
}

function reference(
  choose: Random,
  sources: readonly Source[],
  paths: readonly string[] = choose.chance(0.03) ? [...itemPaths, ...oddPaths] : itemPaths,
): Reference {
  if (choose.chance(0.1)) {
    return { name: "gone", ...(choose.chance(0.97) ? { optional: true } : {}) };
  }
  const source = choose.pick(sources as readonly [Source, ...Source[]]);
  const optional = choose.chance(0.2) ? { optional: choose.chance(0.8) } : {};
  if (choose.chance(0.5) || source.files.length === 0 || paths.length === 0) {
    return { name: source.name, ...optional };
  }
  const absent = optional.optional === true && choose.chance(0.5) ? ["absent"] : [];
  const items = choose.some(paths, 4, 1).map((path) => ({
    key: choose.pick([...source.files, ...absent] as unknown as readonly [string, ...string[]]),
    path,
    ...itemFields(choose),
  }));
  return { name: source.name, ...optional, items };
}

function itemFields(choose: Random): Json {
  return {
    ...(choose.chance(0.4) ? { mode: choose.pick(modes) } : {}),
    ...(choose.chance(0.1) ? { user: choose.pick([0, 4321]) } : {}),
  };
}

function projectedSources(choose: Random, sources: Sources): Json[] {
  // An apiserver refuses the same explicit path twice: each source takes its own.
  const free = choose.some(itemPaths, itemPaths.length, itemPaths.length);
  const take = (most: number): string[] => free.splice(0, 1 + choose.int(most));
  return Array.from({ length: choose.int(5) }, () => {
    const roll = choose.int(8);
    if (roll < 2) {
      return { secret: reference(choose, sources.secrets, take(2)) };
    }
    if (roll < 4) {
      return { configMap: reference(choose, sources.configMaps, take(2)) };
    }
    if (roll < 6) {
      return { downwardAPI: { items: downwardItems(choose, take(3)) } };
    }
    const [path] = take(1);
    return {
      serviceAccountToken: {
        path: path ?? "token",
        ...(choose.chance(0.3) ? { audience: "vault" } : {}),
        ...(choose.chance(0.5) ? { expirationSeconds: 3607 } : {}),
        ...(choose.chance(0.1) ? { user: 777 } : {}),
      },
    };
  });
}

/** Containers that every pod, or some pod, has; "setup" and "sidecar" are init containers. */
const owners: readonly [string, ...string[]] = [
  "main",
  ...Array<string>(27).fill("main"),
  "setup",
  "sidecar",
];

const fileFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "metadata.labels",
  "metadata.annotations",
  "metadata.labels",
  "metadata.annotations",
  ...labelKeys.map((key) => `metadata.labels['${key}']`),
  ...annotationKeys.map((key) => `metadata.annotations['${key}']`),
] as unknown as readonly [string, ...string[]];

function downwardItems(choose: Random, paths: readonly string[]): Json[] {
  return paths.map((path) => ({
    path,
    ...(choose.chance(0.7)
      ? { fieldRef: { fieldPath: choose.pick(fileFields) } }
      : { resourceFieldRef: resourceFieldRef(choose, choose.pick(owners)) }),
    ...itemFields(choose),
  }));
}
