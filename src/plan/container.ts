import type {
  Container,
  Handler,
  Lifecycle,
  NetworkAction,
  Quantity,
  ResourceRequirements,
} from "../model/kubernetes.ts";
import type { VolumeMount } from "../model/volume-sources.ts";
import type { Environment } from "./environment.ts";
import { imageReference } from "./image.ts";
import { kubeletAtLeast, type PodContext, warn } from "./pod-context.ts";

/**
 * One container of the static pod.
 *
 * Pure. Ports go, so that the parent is admitted beside the copy, and what named them gets the number;
 * requests are zero for the same reason; everything unknown stays.
 *
 * @param readOnlyVolumes volumes whose mounts the kubelet forced to be read-only in the parent
 */
export function planContainer(
  context: PodContext,
  container: Container,
  isInit: boolean,
  environment: Environment,
  readOnlyVolumes: ReadonlySet<string>,
): Container {
  const { env: _env, envFrom: _envFrom, ports, imagePullPolicy: _policy, ...kept } = container;
  if (
    ports?.some(({ hostPort }) => hostPort !== undefined && hostPort > 0) === true &&
    context.pod.spec.hostNetwork !== true
  ) {
    warn(
      context,
      "W_HOSTPORT_DROPPED",
      `container ${container.name}: its host ports are not forwarded while the copy runs, so that the parent can be admitted beside it`,
    );
  }
  return {
    ...withoutFields(context, kept, isInit),
    ...probes(container),
    ...(container.lifecycle == null
      ? {}
      : { lifecycle: hooks(context, container, container.lifecycle) }),
    ...(container.volumeMounts == null
      ? {}
      : {
          volumeMounts: container.volumeMounts.map((mount) =>
            mountReadOnly(mount, readOnlyVolumes),
          ),
        }),
    ...(environment.env.length === 0 ? {} : { env: environment.env }),
    ...(container.image === undefined
      ? {}
      : {
          image: imageReference(
            context,
            `${isInit ? "initC" : "c"}ontainers/${container.name}`,
            container.image,
          ),
        }),
    imagePullPolicy: "IfNotPresent",
    resources: planResources(context, container.resources ?? {}, `container ${container.name}`),
  };
}

function mountReadOnly(mount: VolumeMount, volumes: ReadonlySet<string>): VolumeMount {
  return volumes.has(mount.name) ? { ...mount, readOnly: true } : mount;
}

/** Fields that kubelets before 1.35 refuse in a manifest although their apiserver takes them. */
function withoutFields<T extends { readonly [field: string]: unknown }>(
  context: PodContext,
  container: T,
  isInit: boolean,
): T {
  if (kubeletAtLeast(context, 35)) {
    return container;
  }
  const dropped = isInit
    ? ["resizePolicy", "restartPolicyRules"]
    : ["restartPolicy", "restartPolicyRules"];
  const present = dropped.filter((field) => container[field] != null);
  if (present.length === 0) {
    return container;
  }
  warn(
    context,
    "W_FIELD_DROPPED",
    `container ${String(container["name"])}: ${present.join(", ")} left out, kubelets before 1.35 refuse it in a manifest`,
  );
  const kept = { ...container };
  for (const field of present) {
    Reflect.deleteProperty(kept, field);
  }
  return kept;
}

function probes(container: Container): Partial<Container> {
  const { livenessProbe, readinessProbe, startupProbe } = container;
  return {
    ...(livenessProbe == null ? {} : { livenessProbe: withPorts(container, livenessProbe) }),
    ...(readinessProbe == null ? {} : { readinessProbe: withPorts(container, readinessProbe) }),
    ...(startupProbe == null ? {} : { startupProbe: withPorts(container, startupProbe) }),
  };
}

function hooks(context: PodContext, container: Container, lifecycle: Lifecycle): Lifecycle {
  const { postStart, preStop, ...rest } = lifecycle;
  return {
    ...rest,
    ...hook(context, container, "postStart", postStart),
    ...hook(context, container, "preStop", preStop),
  };
}

function hook(
  context: PodContext,
  container: Container,
  name: "postStart" | "preStop",
  handler: Handler | null | undefined,
): Lifecycle {
  if (handler == null) {
    return {};
  }
  // Kubelets before 1.35 refuse a sleep of no time in a manifest; it does nothing anyway.
  const isIdle = handler.sleep?.seconds === 0 && !kubeletAtLeast(context, 35);
  return isIdle ? {} : { [name]: withPorts(container, handler) };
}

function withPorts(container: Container, handler: Handler): Handler {
  return {
    ...handler,
    ...(handler.httpGet == null ? {} : { httpGet: withPort(container, handler.httpGet) }),
    ...(handler.tcpSocket == null ? {} : { tcpSocket: withPort(container, handler.tcpSocket) }),
  };
}

/** A name that no port has fails in the copy exactly as it failed in the parent, so it stays. */
function withPort(container: Container, action: NetworkAction): NetworkAction {
  const named = container.ports?.find(({ name }) => name !== undefined && name === action.port);
  return named === undefined ? action : { ...action, port: named.containerPort };
}

/**
 * Resources with requests of zero: limits alone would be copied into requests by the kubelet.
 *
 * Pure. Hugepages keep request = limit, since the API allows nothing else; devices go, because their
 * assignments need the state of before the reboot.
 */
export function planResources(
  context: PodContext,
  resources: ResourceRequirements,
  place: string,
): ResourceRequirements {
  const { limits, requests } = resources;
  const names = new Set([...Object.keys(limits ?? {}), ...Object.keys(requests ?? {})]);
  const devices = [...names].filter((name) => name.includes("/"));
  if (devices.length > 0) {
    warn(context, "W_DEVICE_DROPPED", `${place}: the copy runs without ${devices.join(", ")}`);
  }
  const zero: Record<string, Quantity> = { cpu: "0", memory: "0" };
  for (const name of names) {
    if (name.startsWith("hugepages-")) {
      zero[name] = limits?.[name] ?? requests?.[name] ?? "0";
      warn(
        context,
        "W_HUGEPAGES",
        `${place}: the copy takes ${name} beside the parent, which may not be admitted until it is gone`,
      );
    } else if (!name.includes("/")) {
      zero[name] = "0";
    }
  }
  const kept = Object.entries(limits ?? {}).filter(([name]) => !name.includes("/"));
  const { limits: _limits, claims: _claims, ...rest } = resources;
  return {
    ...rest,
    ...(kept.length === 0 ? {} : { limits: Object.fromEntries(kept) }),
    requests: zero,
  };
}
