import { generateContainers } from "./generate-containers.ts";
import { podExtras, withNulls } from "./generate-extras.ts";
import { generateSources } from "./generate-sources.ts";
import { generateVolumes } from "./generate-volumes.ts";
import type { Json } from "./oracle.ts";
import { type Random, random } from "./random.ts";
import { annotationKeys, labelKeys, labelValues, textOf } from "./strings.ts";

/** One pod in a namespace of its own, with all that it may refer to. */
export interface Case {
  readonly namespace: string;
  readonly name: string;
  readonly seed: number;
  readonly objects: readonly Json[];
}

export const node: Json = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "node1", uid: "11111111-2222-4333-8444-555555555555" },
  status: {
    addresses: [
      { type: "InternalIP", address: "192.168.7.1" },
      { type: "Hostname", address: "node1" },
    ],
    allocatable: {
      cpu: "3920m",
      memory: "16123456Ki",
      "ephemeral-storage": "94477937300",
      pods: "110",
    },
    capacity: { cpu: "4", memory: "16323456Ki", "ephemeral-storage": "102515120Ki", pods: "110" },
    nodeInfo: { kubeletVersion: "v1.37.2", operatingSystem: "linux", architecture: "amd64" },
  },
};

/** The Service that every container hears of. */
export const kubernetesService: Json = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "kubernetes", namespace: "default" },
  spec: {
    clusterIP: "10.96.0.1",
    ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: 6443 }],
  },
};

/** Pure. The case of one seed. */
export function generateCase(seed: number): Case {
  const choose = random(seed);
  // Seldom enough that no two are asked about at once.
  const namespace = seed % 997 === 0 ? "default" : `case-${seed}`;
  const name = podName(choose);
  const sources = generateSources(choose, namespace);
  const containers = generateContainers(choose, sources);
  const volumes = generateVolumes(choose, sources, containers);
  const pod: Json = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      uid: uuid(choose),
      labels: record(choose, labelKeys, labelValues),
      annotations: annotations(choose),
    },
    spec: withSomeNulls(choose, {
      nodeName: "node1",
      serviceAccountName: choose.pick(["default", "builder"]),
      ...containers,
      ...volumes,
      ...podFields(choose),
      ...podExtras(choose),
    }),
    status: {
      phase: "Running",
      hostIP: "192.168.7.1",
      podIP: "10.1.2.3",
      podIPs: [{ ip: "10.1.2.3" }],
    },
  };
  return { namespace, name, seed, objects: [...sources.objects, pod] };
}

function withSomeNulls(choose: Random, spec: Json): Json {
  return choose.chance(0.15) ? withNulls(choose, spec) : spec;
}

function podName(choose: Random): string {
  return choose.pick([
    "web",
    "web-5d4f8c7b9-x2x7k",
    "a.b-c.d",
    `long-${"n".repeat(50)}-tail`,
    `long-${"n".repeat(52)}-.tail`.replace("-.", "-1."),
    `${"very-long.".repeat(10)}end`,
  ]);
}

function podFields(choose: Random): Json {
  const fields: Record<string, unknown> = {};
  const may = (p: number, name: string, value: () => unknown): void => {
    if (choose.chance(p)) {
      fields[name] = value();
    }
  };
  may(0.6, "enableServiceLinks", () => choose.chance(0.5));
  may(0.2, "hostNetwork", () => choose.chance(0.7));
  may(0.2, "hostname", () => choose.pick(["given", "h".repeat(63)]));
  may(0.1, "subdomain", () => "sub");
  may(0.3, "dnsPolicy", () => choose.pick(["Default", "ClusterFirst", "ClusterFirstWithHostNet"]));
  may(0.1, "imagePullSecrets", () => [{ name: "pull" }]);
  may(0.1, "nodeSelector", () => ({ zone: "a" }));
  may(0.1, "automountServiceAccountToken", () => false);
  may(0.1, "shareProcessNamespace", () => true);
  may(0.1, "terminationGracePeriodSeconds", () => choose.int(60));
  may(0.1, "hostAliases", () => [{ ip: "10.0.0.9", hostnames: ["etcd.local"] }]);
  may(0.1, "resources", () => ({
    limits: { cpu: "3", memory: "3Gi" },
    requests: { cpu: "3", memory: "2Gi" },
  }));
  return fields;
}

function record(choose: Random, names: readonly string[], values: readonly string[]): Json {
  return Object.fromEntries(
    choose.some(names, names.length).map((name) => [name, values[choose.int(values.length)] ?? ""]),
  );
}

/** All keys, or null as a person may leave it. */
function annotations(choose: Random): Json | null {
  return choose.chance(0.05)
    ? null
    : Object.fromEntries(
        choose.some(annotationKeys, annotationKeys.length).map((key) => [key, textOf(choose)]),
      );
}

function uuid(choose: Random): string {
  const hex = Array.from({ length: 32 }, () => choose.int(16).toString(16)).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
