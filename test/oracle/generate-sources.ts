import type { Json } from "./oracle.ts";
import type { Random } from "./random.ts";
import { binaries, keys, textOf } from "./strings.ts";

/** Secrets and ConfigMaps of one namespace; each name is in at most one kind. */
export interface Sources {
  readonly secrets: readonly Source[];
  readonly configMaps: readonly Source[];
  readonly claims: readonly string[];
  readonly objects: readonly Json[];
}

export interface Source {
  readonly name: string;
  /** Keys that env can use. */
  readonly keys: readonly string[];
  /** All keys that a volume shows. */
  readonly files: readonly string[];
}

/** Pure. Objects that a pod may refer to; `gone` is never among them. */
export function generateSources(choose: Random, namespace: string): Sources {
  const objects: Json[] = [];
  const secrets = ["secret-a", "secret-b", "empty-secret"].map((name) => {
    const chosen = name.startsWith("empty") ? [] : choose.some(keys, 5, 1);
    const data = Object.fromEntries(
      chosen.map((key) => [key, secretValue(choose).toString("base64")]),
    );
    const stringData = choose.chance(0.1) ? { B: "from stringData $(A)" } : {};
    objects.push({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace },
      data,
      stringData,
    });
    const all = [...new Set([...chosen, ...Object.keys(stringData)])];
    return { name, keys: all, files: all };
  });
  const configMaps = ["map-a", "map-b", "empty-map"].map((name) => {
    const chosen = name.startsWith("empty") ? [] : choose.some(keys, 5, 1);
    const data = Object.fromEntries(chosen.map((key) => [key, textOf(choose)]));
    const binaryData = choose.chance(0.3)
      ? {
          "binary.bin": choose.pick(binaries).toString("base64"),
          BIN: choose.pick(binaries).toString("base64"),
        }
      : {};
    objects.push({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace },
      data,
      binaryData,
    });
    return { name, keys: chosen, files: [...chosen, ...Object.keys(binaryData)] };
  });
  const own = services(namespace).filter(
    ({ metadata }) => namespace !== "default" || (metadata as Json)["name"] !== "kubernetes",
  );
  objects.push(...choose.some(own, 4));
  return { secrets, configMaps, claims: claims(namespace, objects), objects };
}

function secretValue(choose: Random): Buffer {
  // Bytes that are not UTF-8 make the pod unprojectable where env uses them: seldom, or nothing else is tested.
  return choose.chance(0.03) ? choose.pick(binaries) : Buffer.from(textOf(choose));
}

function services(namespace: string): Json[] {
  const service = (name: string, spec: Json): Json => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec,
  });
  return [
    service("foo", { clusterIP: "10.96.3.4", ports: [{ port: 80 }] }),
    service("my-svc", {
      clusterIP: "10.96.3.5",
      ports: [
        { name: "dns-tcp", port: 53, protocol: "TCP" },
        { name: "dns", port: 53, protocol: "UDP" },
      ],
    }),
    service("headless", { clusterIP: "None", ports: [{ port: 2380 }] }),
    service("pending", { ports: [{ port: 1 }] }),
    service("six", {
      clusterIP: "fd00::1234",
      ipFamilies: ["IPv6"],
      ports: [{ name: "p", port: 9, protocol: "SCTP" }],
    }),
    service("elsewhere", { type: "ExternalName", externalName: "example.com" }),
    service("kubernetes", { clusterIP: "10.96.9.9", ports: [{ port: 1234 }] }),
  ];
}

function claims(namespace: string, objects: Json[]): string[] {
  const sources: Record<string, Json> = {
    "host-claim": { hostPath: { path: "/srv/host" } },
    "local-claim": { local: { path: "/usr/share" } },
    "nfs-claim": {
      nfs: { server: "nfs.example.com", path: "/export", readOnly: /[13579]$/.test(namespace) },
    },
  };
  for (const [name, source] of Object.entries(sources)) {
    const volume = `${namespace}-${name}`;
    objects.push(
      {
        apiVersion: "v1",
        kind: "PersistentVolume",
        metadata: {
          name: volume,
          // The kubelet gives such a group to the pod.
          annotations: name === "host-claim" ? { "pv.beta.kubernetes.io/gid": "4242" } : {},
        },
        spec: {
          ...source,
          accessModes: ["ReadWriteOnce"],
          capacity: { storage: "1Gi" },
          claimRef: { namespace, name },
          nodeAffinity:
            name === "local-claim"
              ? {
                  required: {
                    nodeSelectorTerms: [
                      {
                        matchExpressions: [
                          { key: "kubernetes.io/hostname", operator: "In", values: ["node1"] },
                        ],
                      },
                    ],
                  },
                }
              : undefined,
        },
        status: { phase: "Bound" },
      },
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name, namespace },
        spec: {
          accessModes: ["ReadWriteOnce"],
          resources: { requests: { storage: "1Gi" } },
          volumeName: volume,
        },
        status: { phase: "Bound" },
      },
    );
  }
  return Object.keys(sources);
}
