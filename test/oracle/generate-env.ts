import type { Source, Sources } from "./generate-sources.ts";
import type { Json } from "./oracle.ts";
import type { Random } from "./random.ts";
import {
  annotationKeys,
  cpuDivisors,
  envNames,
  labelKeys,
  memoryDivisors,
  prefixes,
  textOf,
} from "./strings.ts";

/** Pure. `env` and `envFrom` of one container. */
export function generateEnv(choose: Random, sources: Sources, containers: readonly string[]): Json {
  const envFrom = choose.chance(0.6)
    ? Array.from({ length: 1 + choose.int(3) }, () => fromSource(choose, sources))
    : undefined;
  const env = choose.chance(0.85)
    ? Array.from({ length: 1 + choose.int(7) }, () => ({
        name: choose.pick(envNames),
        ...envValue(choose, sources, containers),
      }))
    : undefined;
  return { envFrom, env };
}

function fromSource(choose: Random, sources: Sources): Json {
  const prefix = choose.chance(0.4) ? { prefix: choose.pick(prefixes) } : {};
  const secret = choose.chance(0.5);
  // A missing object that is not optional stops the parent: seldom.
  const reference = choose.chance(0.15)
    ? { name: "gone", ...(choose.chance(0.97) ? { optional: true } : {}) }
    : { name: oneOf(choose, secret ? sources.secrets : sources.configMaps).name };
  return secret ? { ...prefix, secretRef: reference } : { ...prefix, configMapRef: reference };
}

function envValue(choose: Random, sources: Sources, containers: readonly string[]): Json {
  const roll = choose.int(10);
  if (roll < 4) {
    return choose.chance(0.1)
      ? choose.pick<Json>([{}, { value: null }])
      : { value: textOf(choose) };
  }
  // An empty value beside a source is as none.
  const empty = choose.chance(0.05) ? { value: "" } : {};
  if (roll < 7) {
    const secret = choose.chance(0.6);
    const reference = keyReference(choose, secret ? sources.secrets : sources.configMaps);
    return {
      ...empty,
      valueFrom: secret ? { secretKeyRef: reference } : { configMapKeyRef: reference },
    };
  }
  if (roll < 9) {
    return {
      valueFrom: {
        fieldRef: {
          ...(choose.chance(0.3) ? { apiVersion: "v1" } : {}),
          fieldPath: choose.pick(envFields),
        },
      },
    };
  }
  return {
    valueFrom: {
      resourceFieldRef: resourceFieldRef(
        choose,
        choose.chance(0.5) ? choose.pick(containers as readonly [string, ...string[]]) : undefined,
      ),
    },
  };
}

function keyReference(choose: Random, sources: readonly Source[]): Json {
  const source = oneOf(choose, sources);
  // A key of binaryData is none for an environment.
  const isBinary = choose.chance(0.05) && source.files.includes("BIN");
  if (isBinary) {
    return { name: source.name, key: "BIN", optional: true };
  }
  const present = source.keys[choose.int(source.keys.length)];
  if (choose.chance(0.1) || present === undefined) {
    const optional = choose.chance(0.97) ? { optional: true } : {};
    return choose.chance(0.5)
      ? { name: "gone", key: "A", ...optional }
      : { name: source.name, key: "absent", ...optional };
  }
  return {
    name: source.name,
    key: present,
    ...(choose.chance(0.2) ? { optional: choose.chance(0.5) } : {}),
  };
}

const envFields = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
  ...labelKeys.map((key) => `metadata.labels['${key}']`),
  ...annotationKeys.map((key) => `metadata.annotations['${key}']`),
  "metadata.annotations['kubernetes.io/config.source']",
  "metadata.labels['absent']",
  "metadata.annotations['example.com/absent']",
] as const as readonly [string, ...string[]];

/** Pure. A reference to a resource of a container that has it or has not. */
export function resourceFieldRef(choose: Random, containerName: string | undefined): Json {
  const container = containerName === undefined ? {} : { containerName };
  const divisor = (choices: readonly [string, ...string[]]): Json =>
    choose.chance(0.7) ? { divisor: choose.pick(choices) } : {};
  return choose.pick([
    {
      ...container,
      resource: choose.pick(["limits.cpu", "requests.cpu"]),
      ...divisor(cpuDivisors),
    },
    {
      ...container,
      resource: choose.pick(["limits.memory", "requests.memory"]),
      ...divisor(memoryDivisors),
    },
    {
      ...container,
      resource: choose.pick(["limits.ephemeral-storage", "requests.ephemeral-storage"]),
      ...divisor(memoryDivisors),
    },
    {
      ...container,
      resource: choose.pick(["limits.hugepages-2Mi", "requests.hugepages-2Mi"]),
      ...divisor(memoryDivisors),
    },
  ]);
}

function oneOf(choose: Random, sources: readonly Source[]): Source {
  return choose.pick(sources as readonly [Source, ...Source[]]);
}
