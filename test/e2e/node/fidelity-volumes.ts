import { type PodWish, sleeper } from "./fidelity-pod.ts";

const deep = [{ key: "tls.key", path: "deep/er/key.pem" }];

/** Every form of volume that a checkpoint can carry. */
export const podsByVolumes: readonly PodWish[] = [
  {
    name: "secret-volumes",
    volumes: [
      { name: "plain", secret: { secretName: "all" } },
      { name: "mode", secret: { secretName: "all", defaultMode: 0o400 } },
      {
        name: "items",
        secret: {
          secretName: "all",
          items: [
            { key: "tls.key", path: "deep/er/key.pem", mode: 0o440 },
            { key: "password", path: "pw" },
          ],
        },
      },
      { name: "missing", secret: { secretName: "none", optional: true } },
      { name: "config", configMap: { name: "all", defaultMode: 0o755 } },
      { name: "no-config", configMap: { name: "none", optional: true } },
      { name: "file", secret: { secretName: "all" }, mount: { subPath: "password" } },
      {
        name: "expanded",
        configMap: { name: "all" },
        mount: { subPathExpr: "$(FILE)" },
      },
    ],
    container: { env: [{ name: "FILE", value: "config.yaml" }] },
  },
  {
    name: "projected",
    metadata: {
      labels: { app: "web", tier: "a b".replace(" ", "-") },
      annotations: { note: 'two\n"lines"' },
    },
    spec: { serviceAccountName: "reader", securityContext: { fsGroup: 2345 } },
    volumes: [
      {
        name: "all",
        projected: {
          defaultMode: 0o640,
          sources: [
            { secret: { name: "all", items: [{ key: "password", path: "s/pw", mode: 0o400 }] } },
            { configMap: { name: "all" } },
            {
              downwardAPI: {
                items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }],
              },
            },
            { serviceAccountToken: { path: "token", audience: "vault", expirationSeconds: 7200 } },
          ],
        },
      },
      {
        name: "downward",
        downwardAPI: {
          items: [
            { path: "name", fieldRef: { fieldPath: "metadata.name" } },
            { path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } },
            { path: "uid", fieldRef: { fieldPath: "metadata.uid" } },
            { path: "labels", fieldRef: { fieldPath: "metadata.labels" }, mode: 0o400 },
            { path: "annotations", fieldRef: { fieldPath: "metadata.annotations" } },
            { path: "note", fieldRef: { fieldPath: "metadata.annotations['note']" } },
            { path: "cpu", resourceFieldRef: { containerName: "main", resource: "limits.cpu" } },
            {
              path: "memory",
              resourceFieldRef: {
                containerName: "main",
                resource: "requests.memory",
                divisor: "1Mi",
              },
            },
          ],
        },
      },
    ],
    container: {
      resources: {
        limits: { cpu: "500m", memory: "64Mi" },
        requests: { memory: "32Mi", cpu: "10m" },
      },
    },
  },
  {
    name: "host-paths",
    volumes: [
      { name: "any", hostPath: { path: "/etc/hostname" } },
      { name: "made", hostPath: { path: "/var/tmp/made/by/kubelet", type: "DirectoryOrCreate" } },
      { name: "touched", hostPath: { path: "/var/tmp/touched", type: "FileOrCreate" } },
      { name: "file", hostPath: { path: "/etc/machine-id", type: "File" } },
      { name: "socket", hostPath: { path: "/run/containerd/containerd.sock", type: "Socket" } },
      { name: "device", hostPath: { path: "/dev/null", type: "CharDevice" } },
      { name: "read-only", hostPath: { path: "/var/tmp" }, mount: { readOnly: true } },
      {
        name: "both-ways",
        hostPath: { path: "/var/tmp" },
        mount: { mountPropagation: "HostToContainer" },
      },
    ],
  },
  {
    name: "group",
    spec: { securityContext: { runAsUser: 1000, fsGroup: 2345, supplementalGroups: [7] } },
    volumes: [
      { name: "secret", secret: { secretName: "all", defaultMode: 0o400 } },
      { name: "config", configMap: { name: "all", items: [{ key: "MODE", path: "a/b/c" }] } },
      {
        name: "token",
        projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault" } }] },
      },
      { name: "empty", emptyDir: {} },
    ],
  },
  {
    name: "empty",
    volumes: [
      { name: "disk", emptyDir: {} },
      { name: "limited", emptyDir: { sizeLimit: "16Mi" } },
      { name: "memory", emptyDir: { medium: "Memory" } },
      { name: "small", emptyDir: { medium: "Memory", sizeLimit: "4Mi" } },
      { name: "part", emptyDir: {}, mount: { subPath: "a/b" } },
    ],
  },
  {
    name: "nested",
    volumes: [
      { name: "outer", secret: { secretName: "all" } },
      { name: "inner", emptyDir: {}, mount: { mountPath: "/volumes/outer/inner" } },
      { name: "one", configMap: { name: "all" }, mount: { subPath: "MODE" } },
      { name: "folder", secret: { secretName: "all", items: deep }, mount: { subPath: "deep" } },
    ],
  },
  {
    name: "claimed",
    spec: { securityContext: { fsGroup: 2345 } },
    volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
  },
  {
    name: "image",
    volumes: [{ name: "files", image: { reference: sleeper.image, pullPolicy: "IfNotPresent" } }],
  },
];
