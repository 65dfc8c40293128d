import type { Json } from "../api.ts";

/** Of the node, where the agent answers with what /settings holds. */
export const agentPort = 8090;
export const password = "hunter2-of-the-edge-node";
export const mode = "island";

/** Another node of the cluster, which takes no pods: where every node is missed, nobody is evicted. */
export const otherNode = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "hub1" },
  spec: { taints: [{ key: "site", value: "hub", effect: "NoSchedule" }] },
};

const namespace = "site";
const metadata = (name: string) => ({ name, namespace });

/** Stay for as long as the node is away: what an edge node's pods must say, or they are evicted after five minutes. */
const patient = ["not-ready", "unreachable"].map((state) => ({
  key: `node.kubernetes.io/${state}`,
  operator: "Exists",
  effect: "NoExecute",
}));

/** Are evicted while the node is away. */
const impatient = patient.map((toleration) => ({ ...toleration, tolerationSeconds: 1 }));

const container = {
  name: "main",
  image: "docker.io/library/busybox:lab",
  imagePullPolicy: "IfNotPresent",
};

const sleeping = { ...container, command: ["/bin/sleep", "360000"] };

const secret = { name: "secret", secret: { secretName: "edge" } };
const settings = { name: "settings", configMap: { name: "settings" } };
const volumeMounts = ["secret", "settings"].map((name) => ({ name, mountPath: `/${name}` }));

/** A worker that keeps a port of the node; its own second self can only wait for it. */
const agent = {
  hostNetwork: true,
  terminationGracePeriodSeconds: 1,
  tolerations: [{ operator: "Exists" }],
  containers: [
    {
      ...container,
      command: ["/bin/httpd", "-f", "-p", `${agentPort}`, "-h", "/settings"],
      ports: [{ containerPort: agentPort }],
      readinessProbe: { httpGet: { path: "/mode", port: agentPort }, periodSeconds: 1 },
      resources: { requests: { cpu: "100m", memory: "32Mi" } },
      volumeMounts,
    },
  ],
  volumes: [secret, settings],
};

const till = {
  terminationGracePeriodSeconds: 1,
  tolerations: patient,
  containers: [
    {
      ...sleeping,
      env: [
        { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "edge", key: "password" } } },
        { name: "MODE", valueFrom: { configMapKeyRef: { name: "settings", key: "mode" } } },
      ],
      volumeMounts,
    },
  ],
  volumes: [secret, settings],
};

const passing = {
  terminationGracePeriodSeconds: 1,
  tolerations: impatient,
  containers: [sleeping],
};

/** A DaemonSet's pod, those of two Deployments, a bare one; one of the four does not bear that its node is away. */
export function edgeObjects(nodeName: string): readonly Json[] {
  return [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata("edge"),
      data: { password: btoa(password) },
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("settings"), data: { mode } },
    controlled("DaemonSet", "agent", {
      ...agent,
      nodeSelector: { "kubernetes.io/hostname": nodeName },
    }),
    controlled("Deployment", "till", till),
    controlled("Deployment", "passing", passing),
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: metadata("gauge"),
      spec: {
        nodeName,
        terminationGracePeriodSeconds: 1,
        tolerations: patient,
        containers: [{ ...sleeping, volumeMounts }],
        volumes: [secret, settings],
      },
    },
  ];
}

function controlled(kind: "DaemonSet" | "Deployment", name: string, spec: Json): Json {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: metadata(name),
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}
