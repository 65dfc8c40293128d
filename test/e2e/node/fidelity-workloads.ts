import type { Json } from "../api.ts";
import { podsByContainers, podsOfControllers } from "./fidelity-containers.ts";
import { makePod, makeTemplate, namespace } from "./fidelity-pod.ts";
import { podsByVolumes } from "./fidelity-volumes.ts";

const bare = [...podsByVolumes, ...podsByContainers];

/** As many pods as the objects come to. */
export const pods = bare.length + Object.keys(podsOfControllers).length;

/** Objects that use every form of volume and environment that a checkpoint can carry, a pod for each theme. */
export function fidelityObjects(nodeName: string): readonly Json[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    named("ServiceAccount", "reader"),
    { ...named("Secret", "all"), type: "Opaque", stringData: secret },
    { ...named("ConfigMap", "all"), data: settings, binaryData: { "blob.bin": "AAECA/8=" } },
    {
      ...named("Service", "web"),
      spec: {
        selector: { app: "web" },
        clusterIP: "10.96.77.7",
        ports: [{ name: "http", port: 80 }],
      },
    },
    {
      ...named("Service", "counted"),
      spec: { clusterIP: "None", selector: { controlled: "counted" } },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "fidelity-data" },
      spec: {
        accessModes: claim.accessModes,
        storageClassName: claim.storageClassName,
        capacity: claim.resources.requests,
        hostPath: { path: "/var/lib/fidelity-data", type: "DirectoryOrCreate" },
        claimRef: { name: "data", namespace },
      },
    },
    { ...named("PersistentVolumeClaim", "data"), spec: { ...claim, volumeName: "fidelity-data" } },
    ...bare.map((pod) => makePod(nodeName, pod)),
    ...Object.entries(podsOfControllers).map(([kind, wish]) => {
      const { name } = wish;
      const labels = { controlled: name };
      const { metadata, spec } = makeTemplate(wish);
      return {
        ...named(kind, name),
        apiVersion: "apps/v1",
        spec: {
          replicas: 1,
          ...(kind === "StatefulSet" ? { serviceName: name } : {}),
          selector: { matchLabels: labels },
          template: { metadata: { ...metadata, labels }, spec },
        },
      };
    }),
  ];
}

const secret = {
  "tls.key": "-----BEGIN PRIVATE KEY-----\nfidelity-marker\n-----END PRIVATE KEY-----\n",
  password: "fidelity-pa$$word $(HOME) ü",
  "dotted.name": "dotted",
  VALID_NAME: "valid",
};
const settings = {
  "config.yaml": "a: 1\nb: $(NOT_EXPANDED)\n",
  MODE: "production",
  empty: "",
};

const claim = {
  accessModes: ["ReadWriteOnce"],
  storageClassName: "",
  resources: { requests: { storage: "1Gi" } },
};

function named(kind: string, name: string): Json {
  return { apiVersion: "v1", kind, metadata: { name, namespace } };
}
