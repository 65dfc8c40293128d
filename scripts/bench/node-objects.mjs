// What an apiserver holds of one node: pods in the size of the examples', Secrets and ConfigMaps of 4 kB.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../install.mjs";

const pods = 30;
/** Secrets and ConfigMaps together, the CA's ConfigMap of each namespace among them. */
const objects = 200;
const namespaces = ["kube-system", "default", "team-a", "team-b", "team-c", "team-d"];

/**
 * Every object of the node, without resourceVersions. Each Secret and ConfigMap is mounted by one pod of its namespace,
 * the CA's by all of them, together with a token.
 *
 * @param {string} node
 * @returns {any[]}
 */
export function nodeObjects(node) {
  const authorities = namespaces.map((namespace) =>
    dataObject("ConfigMap", namespace, "kube-root-ca.crt", 0),
  );
  const held = Array.from({ length: objects - authorities.length }, (_, at) => {
    const namespace = namespaces[at % namespaces.length] ?? "";
    return at % 2 < 1
      ? dataObject("Secret", namespace, `secret-${at}`, 0)
      : dataObject("ConfigMap", namespace, `settings-${at}`, 0);
  });
  const template = recorded("pods").find(({ metadata }) => metadata.name.startsWith("coredns-"));
  const inNamespace = (/** @type {string} */ namespace) =>
    held.filter(({ metadata }) => metadata.namespace === namespace);
  return [
    ...recorded("nodes").filter(({ metadata }) => metadata.name === node),
    ...recorded("services").filter(({ metadata }) => metadata.name === "kubernetes"),
    ...recorded("endpoints").filter(({ metadata }) => metadata.name === "kubernetes"),
    ...authorities,
    ...held,
    ...Array.from({ length: pods }, (_, at) => {
      const namespace = namespaces[at % namespaces.length] ?? "";
      const turn = Math.floor(at / namespaces.length);
      const mounted = inNamespace(namespace).filter(
        (_object, number) => number % (pods / namespaces.length) === turn,
      );
      return podObject(template, { namespace, at, node, mounted });
    }),
  ];
}

/**
 * A Secret or ConfigMap of 4 kB whose content changes with `version`.
 *
 * @param {"Secret" | "ConfigMap"} kind
 * @param {string} namespace
 * @param {string} name
 * @param {number} version
 */
export function dataObject(kind, namespace, name, version) {
  const text = Array.from({ length: 60 }, (_, line) =>
    createHash("sha256").update(`${name} ${version} ${line}`).digest("hex").slice(0, 47),
  ).join("\n");
  const fields = { ".": {}, "f:content": {} };
  const managedFields = [
    {
      manager: "kubectl-create",
      operation: "Update",
      apiVersion: "v1",
      time: "2026-11-22T08:10:39Z",
      fieldsType: "FieldsV1",
      fieldsV1: { "f:data": fields, ...(kind === "Secret" ? { "f:type": {} } : {}) },
    },
  ];
  const content = kind === "Secret" ? Buffer.from(text).toString("base64") : text;
  const creationTimestamp = "2026-11-22T08:10:39Z";
  return {
    kind,
    apiVersion: "v1",
    metadata: {
      name,
      namespace,
      uid: uidOf(kind, namespace, name),
      creationTimestamp,
      managedFields,
    },
    data: { content, ...(name === "kube-root-ca.crt" ? { "ca.crt": content } : {}) },
    ...(kind === "Secret" ? { type: "Opaque" } : {}),
  };
}

/**
 * @param {any} template
 * @param {{namespace: string, at: number, node: string, mounted: readonly any[]}} pod
 */
function podObject(template, { namespace, at, node, mounted }) {
  const name = `workload-${at}`;
  const access = template.spec.volumes.find((/** @type {any} */ { projected }) => projected);
  const {
    labels: _labels,
    ownerReferences: _owners,
    generateName: _generated,
    ...metadata
  } = template.metadata;
  return {
    ...template,
    metadata: { ...metadata, name, namespace, uid: uidOf("Pod", namespace, name) },
    spec: {
      ...template.spec,
      nodeName: node,
      serviceAccount: "default",
      serviceAccountName: "default",
      containers: template.spec.containers.map((/** @type {any} */ container) => ({
        ...container,
        volumeMounts: [
          {
            name: access.name,
            readOnly: true,
            mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
          },
          ...mounted.map((object) => ({
            name: object.metadata.name,
            mountPath: `/etc/${object.metadata.name}`,
          })),
        ],
      })),
      volumes: [
        access,
        ...mounted.map(({ kind, metadata: { name: held } }) =>
          kind === "Secret"
            ? { name: held, secret: { secretName: held, defaultMode: 420 } }
            : { name: held, configMap: { name: held, defaultMode: 420 } },
        ),
      ],
    },
  };
}

/** @param {string} name */
function recorded(name) {
  const file = join(repository, "test/fixtures/setA/objects", `${name}.json`);
  return /** @type {any[]} */ (JSON.parse(readFileSync(file, "utf8")).items);
}

/** @param {readonly string[]} words */
function uidOf(...words) {
  const hex = createHash("sha256").update(words.join("/")).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, "$1-$2-$3-$4-$5");
}
