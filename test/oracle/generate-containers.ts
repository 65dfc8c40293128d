import { generateEnv } from "./generate-env.ts";
import { containerExtras, securityExtras } from "./generate-extras.ts";
import type { Sources } from "./generate-sources.ts";
import type { Json } from "./oracle.ts";
import type { Random } from "./random.ts";
import { cpuQuantities, memoryQuantities, texts } from "./strings.ts";

export interface Containers {
  readonly containers: readonly Json[];
  readonly initContainers?: readonly Json[];
  readonly securityContext?: Json;
}

const users = [0, 1000, 1001, 65534] as const;

/** Pure. Containers without their mounts, and the pod's security context. */
export function generateContainers(choose: Random, sources: Sources): Containers {
  const names = choose.chance(0.4) ? ["main", "other"] : ["main"];
  const init = choose.some(["setup", "sidecar"], 2);
  const podUser = choose.chance(0.3) ? { runAsUser: choose.pick(users) } : {};
  const group = choose.chance(0.4) ? { fsGroup: choose.pick([0, 1000, 2000]) } : {};
  // All containers the same user, or each its own: the owner of a token file hangs on it.
  const same = choose.chance(0.4) ? { runAsUser: choose.pick(users) } : undefined;
  const one = (name: string): Json => ({
    name,
    image: choose.pick(["registry.example.com/app:1", "app", "app:latest"]),
    command: choose.chance(0.7) ? ["/bin/app", ...choose.some(texts.slice(0, -1), 4)] : undefined,
    args: choose.chance(0.5) ? choose.some(texts.slice(0, -1), 4) : undefined,
    ...generateEnv(choose, sources, [...names, ...init]),
    ...resources(choose),
    ...containerExtras(choose),
    securityContext:
      same ??
      (choose.chance(0.2)
        ? { runAsUser: choose.pick(users) }
        : choose.chance(0.2)
          ? { readOnlyRootFilesystem: true }
          : undefined),
    imagePullPolicy: choose.chance(0.3)
      ? choose.pick(["Always", "Never", "IfNotPresent"])
      : undefined,
  });
  const containers = names.map((name) => ({ ...one(name), ...ports(choose, name) }));
  const initContainers = init.map((name) =>
    name === "sidecar"
      ? { ...one(name), restartPolicy: "Always", ...ports(choose, name) }
      : one(name),
  );
  const groups = choose.chance(0.2)
    ? { supplementalGroups: choose.pick([[7], [4242, 8], []]) }
    : {};
  const securityContext = { ...podUser, ...group, ...groups, ...securityExtras(choose) };
  return {
    containers,
    ...(initContainers.length > 0 ? { initContainers } : {}),
    ...(Object.keys(securityContext).length > 0 ? { securityContext } : {}),
  };
}

function resources(choose: Random): Json {
  if (choose.chance(0.3)) {
    return {};
  }
  const list = (): Json => ({
    ...(choose.chance(0.6) ? { cpu: choose.pick(cpuQuantities) } : {}),
    ...(choose.chance(0.6) ? { memory: choose.pick(memoryQuantities) } : {}),
    ...(choose.chance(0.2) ? { "ephemeral-storage": choose.pick(memoryQuantities) } : {}),
  });
  // A limit below its request is invalid: only one of the two, or both the same.
  const limits = list();
  return choose.pick<Json>([
    { resources: { limits } },
    { resources: { requests: limits } },
    { resources: { limits, requests: limits } },
    { resources: { limits: { ...limits, "hugepages-2Mi": "4Mi", memory: "1Gi", cpu: "1" } } },
  ]);
}

function ports(choose: Random, name: string): Json {
  const number = { main: 8080, other: 9090, sidecar: 7070 }[name] ?? 1;
  const declared = [
    { name: "http", containerPort: number, protocol: "TCP" },
    { name: `p-${name}`, containerPort: number + 1, hostPort: number + 1 },
    { containerPort: number + 2, protocol: "UDP" },
  ];
  const port = (): unknown => choose.pick(["http", `p-${name}`, number, number + 5]);
  const probe = (): Json =>
    choose.pick<Json>([
      {
        httpGet: {
          path: choose.pick(["/healthz", "healthz?x=$(A)", ""]),
          port: port(),
          scheme: choose.pick(["HTTP", "HTTPS"]),
        },
      },
      { httpGet: { port: port(), host: "127.0.0.1" } },
      { tcpSocket: { port: port() } },
      { grpc: { port: number } },
      { exec: { command: ["true", "$(A)"] } },
    ]);
  const hook = (): Json =>
    choose.pick<Json>([
      { httpGet: { path: "/hook", port: port() } },
      { exec: { command: ["$(A)"] } },
      { sleep: { seconds: 1 } },
    ]);
  const fields: Record<string, unknown> = { ports: choose.chance(0.8) ? declared : undefined };
  for (const [field, p] of [
    ["livenessProbe", 0.4],
    ["readinessProbe", 0.3],
    ["startupProbe", 0.2],
  ] as const) {
    if (choose.chance(p)) {
      fields[field] = probe();
    }
  }
  if (choose.chance(0.2)) {
    fields["lifecycle"] = choose.pick<Json>([
      { preStop: hook() },
      { postStart: hook() },
      { preStop: hook(), postStart: hook() },
    ]);
  }
  return fields;
}
