import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../api.ts";
import type { SecretTexts } from "./cluster-pki.ts";

export interface KubernetesObject extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Json & { readonly name: string; readonly namespace?: string };
}

/**
 * How controller manager and scheduler log in. `token`: with their pod's, as recorded. `certificate`: with one
 * of a Secret; a first boot has no token, as there is no apiserver to mint it.
 */
export type Login = "token" | "certificate";

const repository = join(import.meta.dirname, "../../..");

/** Everything in examples/self-hosted, and the controllers whose pods those are, as recorded with them. */
export function recordedObjects(): readonly KubernetesObject[] {
  return objectFiles().flatMap(
    (file) => (JSON.parse(readFileSync(file, "utf8")) as { items: KubernetesObject[] }).items,
  );
}

/** Absolute: the files that the objects are read from. */
export function objectFiles(): readonly string[] {
  const examples = join(repository, "examples/self-hosted");
  const recording = join(repository, "test/fixtures/setA/objects");
  return [
    ...readdirSync(examples)
      .filter((file) => file.endsWith(".json"))
      .map((file) => join(examples, file)),
    ...["daemonsets.json", "deployments.json"].map((file) => join(recording, file)),
  ];
}

/**
 * Puts a new cluster's keys and certificates in the place of the recorded ones, and makes etcd one of a new cluster.
 *
 * Pure. What the server or the controller manager makes by itself is left out.
 *
 * @param ca  PEM, of the cluster
 */
export function renewObjects(
  recorded: readonly KubernetesObject[],
  secrets: SecretTexts,
  ca: string,
  login: Login,
): readonly KubernetesObject[] {
  const isOfServer = ({ kind, metadata: { name } }: KubernetesObject) =>
    kind === "ConfigMap" &&
    ["extension-apiserver-authentication", "kube-apiserver-legacy-service-account-token-tracking"]
      // A mirror pod is its manifest's, and there is none.
      .includes(name);
  const isMirror = ({ kind, metadata: { name } }: KubernetesObject) =>
    kind === "Pod" && name === "static-web-node1";
  const present = recorded.filter((object) => !isOfServer(object) && !isMirror(object));
  const renewed = present.map((object) => renewObject(object, secrets, ca, login));
  return login === "token"
    ? renewed
    : [...renewed, makeSecret("kube-scheduler", secrets["kube-scheduler"] ?? {})];
}

function renewObject(
  object: KubernetesObject,
  secrets: SecretTexts,
  ca: string,
  login: Login,
): KubernetesObject {
  const { kind, metadata } = object;
  const texts = secrets[metadata.name];
  if (kind === "Secret" && texts !== undefined) {
    return { ...object, data: encode(texts) };
  }
  if (kind === "ConfigMap" && metadata.name === "kube-root-ca.crt") {
    return { ...object, data: { "ca.crt": ca } };
  }
  if (kind === "ConfigMap") {
    return login === "token" ? object : useCertificate(object);
  }
  const joined = newEtcd(object);
  return login === "certificate" && kind === "Pod" && isOf(joined, "kube-scheduler")
    ? mountSecret(joined)
    : joined;
}

/** Where the pods see their Secret; the scheduler's mounts it for this only. */
const mounted: Readonly<Record<string, string>> = {
  "kubeconfig-in-cluster": "/etc/kubernetes/secrets",
  "kube-scheduler-config": "/etc/kubernetes/secrets",
};

function useCertificate(configMap: KubernetesObject): KubernetesObject {
  const dir = mounted[configMap.metadata.name];
  const data = configMap["data"] as Readonly<Record<string, string>>;
  if (dir === undefined || data["kubeconfig"] === undefined) {
    return configMap;
  }
  const kubeconfig = JSON.parse(data["kubeconfig"]) as { users: Json[] };
  const user = { "client-certificate": `${dir}/client.crt`, "client-key": `${dir}/client.key` };
  const users = kubeconfig.users.map((entry) => ({ ...entry, user }));
  return { ...configMap, data: { ...data, kubeconfig: JSON.stringify({ ...kubeconfig, users }) } };
}

function mountSecret(pod: KubernetesObject): KubernetesObject {
  const spec = pod["spec"] as { volumes: Json[]; containers: { volumeMounts: Json[] }[] };
  const volume = { name: "secrets", secret: { secretName: "kube-scheduler", defaultMode: 0o644 } };
  const mount = { name: "secrets", readOnly: true, mountPath: "/etc/kubernetes/secrets" };
  const containers = spec.containers.map((container) => ({
    ...container,
    volumeMounts: [...container.volumeMounts, mount],
  }));
  return { ...pod, spec: { ...spec, volumes: [...spec.volumes, volume], containers } };
}

/** The recorded etcd had joined another's cluster; wherever its arguments are, they now make one. */
function newEtcd(object: KubernetesObject): KubernetesObject {
  return JSON.parse(JSON.stringify(object), (_, value) =>
    typeof value === "string" && value.startsWith("--initial-cluster")
      ? value.replace(/=boot=[^,]*,/, "=").replace("-state=existing", "-state=new")
      : value,
  ) as KubernetesObject;
}

function isOf({ metadata }: KubernetesObject, component: string): boolean {
  const labels = metadata["labels"] as Readonly<Record<string, string>> | undefined;
  return labels?.["k8s-app"] === component;
}

function makeSecret(name: string, texts: Readonly<Record<string, string>>): KubernetesObject {
  const metadata = { name, namespace: "kube-system" };
  return { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata, data: encode(texts) };
}

function encode(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
  );
}
