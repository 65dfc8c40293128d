import type { Json } from "./oracle.ts";
import type { Random } from "./random.ts";

/** Pure. Fields of a pod that the projection must carry through, or must drop. */
export function podExtras(choose: Random): Json {
  return someOf(choose, 0.08, {
    hostPID: true,
    hostIPC: true,
    hostUsers: true,
    os: { name: "linux" },
    priority: 1000,
    priorityClassName: "high",
    preemptionPolicy: "Never",
    restartPolicy: choose.pick(["Always", "OnFailure", "Never"]),
    schedulerName: "mine",
    tolerations: [{ key: "a", operator: "Exists" }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "z", operator: "Exists" }] }],
        },
      },
    },
    readinessGates: [{ conditionType: "example.com/ready" }],
    activeDeadlineSeconds: 1_000_000,
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "z", whenUnsatisfiable: "ScheduleAnyway" },
    ],
    dnsConfig: {
      nameservers: ["10.0.0.53"],
      searches: ["a.example.com", "_under.score", "."],
      options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
    },
    setHostnameAsFQDN: false,
  });
}

/** Pure. The same for the pod's security context. */
export function securityExtras(choose: Random): Json {
  return someOf(choose, 0.06, {
    runAsGroup: 3000,
    runAsNonRoot: false,
    fsGroupChangePolicy: "OnRootMismatch",
    supplementalGroupsPolicy: "Merge",
    seccompProfile: { type: "RuntimeDefault" },
    appArmorProfile: { type: "Unconfined" },
    seLinuxOptions: { level: "s0:c1,c2" },
    sysctls: [{ name: "net.ipv4.ip_local_port_range", value: "1024 65535" }],
  });
}

/** Pure. The same for a container. */
export function containerExtras(choose: Random): Json {
  return someOf(choose, 0.06, {
    workingDir: "/srv/$(A)",
    stdin: true,
    stdinOnce: true,
    tty: true,
    terminationMessagePath: "/dev/end",
    terminationMessagePolicy: "FallbackToLogsOnError",
  });
}

/** Keys that a person leaves empty in YAML, which reads as null and means nothing. */
const emptied: Readonly<Record<string, readonly string[]>> = {
  pod: [
    "initContainers",
    "securityContext",
    "dnsConfig",
    "enableServiceLinks",
    "hostname",
    "volumes",
  ],
  container: [
    "command",
    "args",
    "env",
    "envFrom",
    "ports",
    "resources",
    "volumeMounts",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "securityContext",
    "imagePullPolicy",
  ],
  source: ["items", "defaultMode", "defaultUser", "optional", "sources"],
};

/** Pure. The spec with a null for some of the fields that it does not have. */
export function withNulls(choose: Random, spec: Json): Json {
  const blank = (object: Json, fields: readonly string[] = []): Json => ({
    ...object,
    ...Object.fromEntries(
      fields
        .filter((field) => object[field] === undefined && choose.chance(0.4))
        .map((field) => [field, null]),
    ),
  });
  const list = (name: string, change: (one: Json) => Json): Json => {
    const entries = spec[name] as readonly Json[] | undefined;
    return entries === undefined ? {} : { [name]: entries.map(change) };
  };
  const container = (one: Json): Json => blank(one, emptied["container"]);
  const volume = (one: Json): Json =>
    Object.fromEntries(
      Object.entries(one).map(([field, value]) => [
        field,
        ["secret", "configMap", "downwardAPI", "projected"].includes(field)
          ? blank(value as Json, allowed(field))
          : value,
      ]),
    );
  return blank(
    {
      ...spec,
      ...list("containers", container),
      ...list("initContainers", container),
      ...list("volumes", volume),
    },
    emptied["pod"],
  );
}

function allowed(kind: string): readonly string[] {
  const absent = kind === "projected" ? ["items", "optional"] : ["sources"];
  return (emptied["source"] ?? []).filter((field) => !absent.includes(field));
}

function someOf(choose: Random, p: number, fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(() => choose.chance(p)));
}
