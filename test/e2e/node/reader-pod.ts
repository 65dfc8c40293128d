import type { Json } from "../api.ts";

/** Each is mounted on /volumes/NAME. */
export const volumes = ["secret", "settings", "both", "items"];

/**
 * A pod that reads the Secret `rotating` and the ConfigMap `settings` in every way there is, by key and whole: volumes,
 * and variables that are called PASSWORD, MODE, STALE, S_… and C_….
 */
export function readerPod(nodeName: string): Json {
  const from = (name: string, key: string, optional: boolean) => ({ name, key, optional });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "reader",
      namespace: "default",
      annotations: { "blackstart.dev/checkpoint": "true" },
    },
    spec: {
      nodeName,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: "Exists" }],
      containers: [
        {
          name: "main",
          image: "docker.io/library/busybox:lab",
          imagePullPolicy: "IfNotPresent",
          command: ["/bin/sleep", "360000"],
          env: [
            { name: "PASSWORD", valueFrom: { secretKeyRef: from("rotating", "password", false) } },
            { name: "STALE", valueFrom: { secretKeyRef: from("rotating", "stale", true) } },
            { name: "MODE", valueFrom: { configMapKeyRef: from("settings", "mode", false) } },
          ],
          envFrom: [
            { prefix: "S_", secretRef: { name: "rotating" } },
            { prefix: "C_", configMapRef: { name: "settings" } },
          ],
          volumeMounts: volumes.map((name) => ({ name, mountPath: `/volumes/${name}` })),
        },
      ],
      volumes: [
        { name: "secret", secret: { secretName: "rotating" } },
        { name: "settings", configMap: { name: "settings" } },
        {
          name: "both",
          projected: {
            sources: [{ secret: { name: "rotating" } }, { configMap: { name: "settings" } }],
          },
        },
        {
          name: "items",
          secret: {
            secretName: "rotating",
            optional: true,
            items: [{ key: "stale", path: "was-stale" }],
          },
        },
      ],
    },
  };
}
