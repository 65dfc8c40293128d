import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import type { Json } from "../api.ts";
import type { SecretTexts } from "./cluster-pki.ts";

export interface KubernetesObject extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Json & { readonly name: string; readonly namespace?: string };
}

/**
 * How controller manager and scheduler log in. `certificate`: with one of a Secret, as the example has it; a first
 * boot has no token, as there is no apiserver to mint it. `token`: with their service account's.
 */
export type Login = "token" | "certificate";

const example = join(import.meta.dirname, "../../../examples/self-hosted");

/** Absolute: the manifests of examples/self-hosted. */
export function exampleFiles(): readonly string[] {
  return readdirSync(example)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .map((file) => join(example, file));
}

/** Every object of examples/self-hosted. */
export function exampleObjects(): readonly KubernetesObject[] {
  return exampleFiles().flatMap((file) =>
    parseAllDocuments(readFileSync(file, "utf8")).map(
      (document) => document.toJS() as KubernetesObject,
    ),
  );
}

/**
 * Puts a new cluster's keys and certificates in the place of those that everybody has.
 *
 * Pure.
 */
export function renewObjects(
  objects: readonly KubernetesObject[],
  secrets: SecretTexts,
  login: Login,
): readonly KubernetesObject[] {
  return objects.map((object) => {
    const texts = secrets[object.metadata.name];
    if (object.kind === "Secret" && texts !== undefined) {
      return { ...object, data: encode(texts) };
    }
    return object.kind === "ConfigMap" && login === "token" ? useToken(object) : object;
  });
}

/** Pods that a controller makes again of their templates, and those that have none. Those of Jobs have ended. */
export function parentsIn(objects: readonly KubernetesObject[]): number {
  return podsIn(objects).length;
}

/** Pods that a capture holds. */
export function checkpointedIn(objects: readonly KubernetesObject[]): number {
  const annotations = ({ metadata }: KubernetesObject) =>
    (metadata["annotations"] ?? {}) as Readonly<Record<string, string>>;
  const names = ["blackstart.dev/checkpoint", "checkpointer.alpha.coreos.com/checkpoint"];
  return podsIn(objects).filter((pod) => {
    const words = names.map((name) => annotations(pod)[name]);
    return words.includes("true") && !words.includes("false");
  }).length;
}

function podsIn(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return objects.filter(({ kind, metadata }) => {
    const owners = (metadata["ownerReferences"] ?? []) as readonly { readonly kind: string }[];
    return kind === "Pod" && !owners.some((owner) => owner.kind === "Job");
  });
}

/** The account that the pod runs as logs in, with the token that the kubelet mounts. */
function useToken(configMap: KubernetesObject): KubernetesObject {
  const data = configMap["data"] as Readonly<Record<string, string>> | undefined;
  if (data?.["kubeconfig"] === undefined) {
    return configMap;
  }
  const kubeconfig = parse(data["kubeconfig"]) as { readonly users: readonly Json[] };
  const user = { tokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token" };
  const users = kubeconfig.users.map((entry) => ({ ...entry, user }));
  return { ...configMap, data: { ...data, kubeconfig: stringify({ ...kubeconfig, users }) } };
}

function encode(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
  );
}
