/** No value of any Secret in these tests is without it, so that a leak is found by one search. */
export const marker = "MARKER7f3a91";

export const podLink = "blackstart_kube-system_web.json";

export function base64(text: string | Uint8Array): string {
  return Buffer.from(text).toString("base64");
}

/** One annotated pod that uses a Secret and a ConfigMap in every way; its node, so that its version is known. */
export function objects({ level = "info", spec = {} }: { level?: string; spec?: object } = {}) {
  return [pod({ spec }), secret(), configMap({ level }), node()] as const;
}

export function pod(more: { metadata?: object; spec?: object } = {}) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      namespace: "kube-system",
      uid: "0aa35a6e-68f6-4a5a-9d4c-d3d1a3a0c001",
      annotations: { "blackstart.dev/checkpoint": "true" },
      ...more.metadata,
    },
    spec: {
      nodeName: "n1",
      hostNetwork: true,
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      containers: [
        {
          name: "web",
          image: "registry.example/web:1",
          env: [
            {
              name: "PASSWORD",
              valueFrom: { secretKeyRef: { name: "web", key: "password" } },
            },
            { name: "LEVEL", valueFrom: { configMapKeyRef: { name: "web", key: "level" } } },
          ],
          volumeMounts: [{ name: "secret", mountPath: "/secret" }],
        },
      ],
      volumes: [{ name: "secret", secret: { secretName: "web" } }],
      ...more.spec,
    },
  };
}

export function secret(more: object = {}) {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "web", namespace: "kube-system" },
    data: { password: base64(`${marker}-password`), key: base64(`${marker}-key`) },
    ...more,
  };
}

export function configMap(data: object = { level: "info" }) {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "web", namespace: "kube-system" },
    data,
  };
}

export function node() {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n1" },
    status: {
      nodeInfo: { kubeletVersion: "v1.37.2" },
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
    },
  };
}
