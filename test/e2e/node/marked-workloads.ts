import { randomBytes } from "node:crypto";
import type { Json } from "../api.ts";
import type { Marks } from "./secret-marks.ts";

export const namespace = "marked";

/** In pods' environments; everything else is in files, or nowhere. */
export const inEnvironment = ["env", "env-expanded", "env-from"];
const elsewhere = ["volume", "volume-sub-path", "projected", "volume-not-mounted-key", "pull"];
/** In the environment of a pod that is left out, for its value is not UTF-8: no manifest can carry it. */
const never = "env-binary";

/** A random text for each place of a pod where a Secret can be. Those outside ASCII, and what JSON escapes, are other tests'. */
export function makeMarks(): Marks {
  return new Map(
    [...inEnvironment, ...elsewhere, never].map((place) => [
      place,
      `mark.${place}.${randomBytes(18).toString("hex")}`,
    ]),
  );
}

/** Pods, all restored, and their Secrets: one with secrets in its environment, one with files only. */
export function markedObjects(nodeName: string, marks: Marks): readonly Json[] {
  const mark = (place: string) => marks.get(place) ?? "";
  const secret = (name: string, stringData: Readonly<Record<string, string>>) => ({
    ...named("Secret", name),
    stringData,
  });
  const credentials = { auths: { "registry.example": { username: "u", password: mark("pull") } } };
  const pod = (name: string, container: Json, volumes: readonly Json[] = []) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations: { "blackstart.dev/checkpoint": "true" } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: "Exists" }],
      imagePullSecrets: [{ name: "pull" }],
      containers: [
        {
          name: "main",
          image: "docker.io/library/busybox:lab",
          imagePullPolicy: "IfNotPresent",
          command: ["/bin/sleep", "360000"],
          ...container,
        },
      ],
      volumes,
    },
  });
  const binary = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(mark(never))]);
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    secret("env", { env: mark("env"), expanded: mark("env-expanded") }),
    secret("env-from", { FROM: mark("env-from") }),
    secret("volume", { key: mark("volume"), other: mark("volume-not-mounted-key") }),
    secret("sub-path", { key: mark("volume-sub-path") }),
    secret("projected", { key: mark("projected") }),
    {
      ...secret("pull", { ".dockerconfigjson": JSON.stringify(credentials) }),
      type: "kubernetes.io/dockerconfigjson",
    },
    { ...named("Secret", "binary"), data: { key: binary.toString("base64") } },
    pod("env", {
      command: ["/bin/sh", "-c", "sleep 360000; exit", "$(EXPANDED)"],
      env: [
        { name: "VALUE", valueFrom: { secretKeyRef: { name: "env", key: "env" } } },
        { name: "EXPANDED", valueFrom: { secretKeyRef: { name: "env", key: "expanded" } } },
        { name: "PART", value: "a-$(EXPANDED)-b" },
      ],
      envFrom: [{ prefix: "P_", secretRef: { name: "env-from" } }],
    }),
    pod("env-binary", {
      env: [{ name: "VALUE", valueFrom: { secretKeyRef: { name: "binary", key: "key" } } }],
    }),
    pod(
      "files",
      {
        volumeMounts: [
          { name: "volume", mountPath: "/volumes/volume" },
          { name: "sub-path", mountPath: "/volumes/key", subPath: "key" },
          { name: "projected", mountPath: "/volumes/projected" },
        ],
      },
      [
        {
          name: "volume",
          secret: { secretName: "volume", items: [{ key: "key", path: "a/b" }] },
        },
        { name: "sub-path", secret: { secretName: "sub-path" } },
        {
          name: "projected",
          projected: {
            sources: [
              { secret: { name: "projected" } },
              { serviceAccountToken: { path: "token", audience: "vault" } },
            ],
          },
        },
      ],
    ),
  ];
}

function named(kind: string, name: string) {
  return { apiVersion: "v1", kind, metadata: { name, namespace } };
}
