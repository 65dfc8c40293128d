import { Failure } from "../errors.ts";
import type { Container, EnvFromSource, EnvVar } from "../model/kubernetes.ts";
import { isAccepted, literal, resolveEntry } from "./env-entry.ts";
import { type PodContext, podName, warn } from "./pod-context.ts";
import { checkText, decodeText, findConfigMap, findSecret } from "./referenced.ts";
import { serviceVariables } from "./service-links.ts";

/** A container's environment without a reference to the API. */
export interface Environment {
  readonly env: readonly EnvVar[];
  /** True when a value comes from a Secret. */
  readonly carriesSecret: boolean;
}

/** Linux refuses a longer `NAME=value` string, its end included (`MAX_ARG_STRLEN`, Linux 6.18). */
const maxStringBytes = 131_072;

/**
 * Rewrites `env` and `envFrom` so that the kubelet computes the parent's environment from literals.
 *
 * Pure. The order is: service variables, `envFrom` by name, then `env` as it stands, so that `$(NAME)`
 * finds what it found before and later entries override earlier ones. Values that were never expanded
 * have each `$` doubled. A missing optional entry disappears: an earlier value of that name survives.
 * Source: v1.37.2 `kubelet_pods.go: makeEnvironmentVariables()`.
 *
 * @throws {Failure} E_REF_MISSING only when a required object or key is not in the checkpoint,
 *   E_ENV_BYTES, E_ENV_NAME, E_ENV_SIZE only when a value or name cannot stand in a manifest,
 *   E_SECRET_ENV only when the configuration refuses Secret values in manifests
 */
export function planEnvironment(
  context: PodContext,
  container: Container,
  field: string,
): Environment {
  const flattened = flattenEnvFrom(context, container, field);
  const secretNames = new Set<string>(flattened.secretNames);
  const env: EnvVar[] = [];
  for (const [name, value] of serviceVariables(context, container)) {
    if (!flattened.values.has(name) && isAccepted(context, name)) {
      env.push(literal(name, value));
    }
  }
  for (const name of [...flattened.values.keys()].sort()) {
    env.push(literal(name, flattened.values.get(name) ?? ""));
  }
  for (const [at, entry] of (container.env ?? []).entries()) {
    const resolved = resolveEntry(context, container, entry, `${field}.env[${at}]`);
    if (resolved !== undefined) {
      env.push(resolved);
      if (entry.valueFrom?.secretKeyRef != null) {
        secretNames.add(entry.name);
      }
    }
  }
  const carriesSecret = secretNames.size > 0;
  if (carriesSecret && context.secretEnv === "refuse") {
    throw new Failure("E_SECRET_ENV", {
      what: `${podName(context)} has Secret values in its environment`,
      where: field,
      found: `${secretNames.size} variable${secretNames.size === 1 ? "" : "s"}, and the configuration says secretEnv: refuse`,
      next: "Give the pod its secrets as files, or set secretEnv: inline",
    });
  }
  for (const entry of env) {
    checkSize(context, field, entry);
  }
  return { env, carriesSecret };
}

interface Flattened {
  readonly values: ReadonlyMap<string, string>;
  readonly secretNames: ReadonlySet<string>;
}

function flattenEnvFrom(context: PodContext, container: Container, field: string): Flattened {
  const values = new Map<string, () => string>();
  const secretNames = new Set<string>();
  for (const [at, source] of (container.envFrom ?? []).entries()) {
    const place = `${field}.envFrom[${at}]`;
    for (const [key, value] of readSource(context, source, place)) {
      const name = `${source.prefix ?? ""}${key}`;
      // A later source overwrites an earlier one, whichever kind each of them is.
      if (!isAccepted(context, name)) {
        warn(
          context,
          "W_ENV_NAME",
          `${place}: variable ${JSON.stringify(name).slice(0, 80)} is left out: the kubelet takes no such name from a manifest`,
        );
      } else {
        values.set(name, value);
        if (source.configMapRef == null) {
          secretNames.add(name);
        } else {
          secretNames.delete(name);
        }
      }
    }
  }
  return { values: new Map([...values].map(([name, value]) => [name, value()])), secretNames };
}

/** The values are read when they are wanted: one that is left out or overwritten cannot fail the pod. */
function readSource(
  context: PodContext,
  source: EnvFromSource,
  place: string,
): readonly (readonly [string, () => string])[] {
  if (source.configMapRef != null) {
    const configMap = findConfigMap(context, source.configMapRef, `${place}.configMapRef`);
    // Only text keys: binaryData never reaches an environment.
    return Object.entries(configMap?.data ?? {}).map(([key, value]) => [
      key,
      () => checkText(context, value, place),
    ]);
  }
  if (source.secretRef == null) {
    return [];
  }
  const secret = findSecret(context, source.secretRef, `${place}.secretRef`);
  return secret === undefined
    ? []
    : [...context.index.secretData(secret)].map(([key, bytes]) => [
        key,
        () => decodeText(context, bytes, `${place}.secretRef, key ${key}`),
      ]);
}

function checkSize(context: PodContext, field: string, { name, value }: EnvVar): void {
  if ((name.length + (value?.length ?? 0)) * 3 < maxStringBytes) {
    return; // no character is longer than three bytes for each of its code units
  }
  const bytes = Buffer.byteLength(name) + Buffer.byteLength(value ?? "") + 2;
  if (bytes > maxStringBytes) {
    throw new Failure("E_ENV_SIZE", {
      what: `${podName(context)} has an environment variable that Linux does not accept`,
      where: `${field}, variable ${name.slice(0, 80)}`,
      found: `${bytes} bytes, at most ${maxStringBytes} are possible`,
      next: "Give the pod this value as a file",
    });
  }
}
