import type { Container, ContainerStatus, Service } from "../model/kubernetes.ts";
import type { PodContext } from "./pod-context.ts";

/**
 * The service variables that a container of the parent was given.
 *
 * Pure. `KUBERNETES_*` always; the other services of the namespace unless service links are off. A
 * Service that is younger than the running container is left out: the kubelet builds the environment
 * once, when the container starts. Names are in the order of the services.
 * Source: v1.37.2 `kubelet_pods.go: getServiceEnvVarMap()`, `envvars/envvars.go: FromServices()`.
 */
export function serviceVariables(
  context: PodContext,
  container: Container,
): ReadonlyMap<string, string> {
  const startedAt = startOf(context, container);
  const chosen = new Map<string, Service>();
  for (const service of context.index.services) {
    const { name, namespace = "default", creationTimestamp } = service.metadata;
    const { clusterIP } = service.spec;
    if (clusterIP === undefined || clusterIP === "" || clusterIP === "None") {
      continue;
    }
    if (startedAt !== undefined && creationTimestamp != null && creationTimestamp > startedAt) {
      continue;
    }
    const isMaster = namespace === "default" && name === "kubernetes";
    const isLinked =
      namespace === context.namespace && context.pod.spec.enableServiceLinks !== false;
    // In namespace default the two are the same object; elsewhere a namesake hides the master's.
    if (isLinked || (isMaster && !chosen.has(name))) {
      chosen.set(name, service);
    }
  }
  const variables = new Map<string, string>();
  for (const service of chosen.values()) {
    addVariables(variables, service);
  }
  return variables;
}

/** RFC 3339 UTC with whole seconds compares as text. */
function startOf(context: PodContext, container: Container): string | undefined {
  const { containerStatuses, initContainerStatuses } = context.pod.status ?? {};
  const statuses: readonly ContainerStatus[] = [
    ...(containerStatuses ?? []),
    ...(initContainerStatuses ?? []),
  ];
  const state = statuses.find((status) => status.name === container.name)?.state;
  return state?.running?.startedAt ?? state?.terminated?.startedAt ?? undefined;
}

function addVariables(variables: Map<string, string>, service: Service): void {
  const prefix = variableName(service.metadata.name);
  const { clusterIP = "", ports } = service.spec;
  const [first] = ports ?? [];
  if (first === undefined) {
    return;
  }
  const host = clusterIP.includes(":") ? `[${clusterIP}]` : clusterIP;
  variables.set(`${prefix}_SERVICE_HOST`, clusterIP);
  variables.set(`${prefix}_SERVICE_PORT`, String(first.port));
  for (const { name, port } of ports ?? []) {
    if (name !== undefined && name !== "") {
      variables.set(`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port));
    }
  }
  for (const [at, { protocol, port }] of (ports ?? []).entries()) {
    const scheme = (protocol === undefined || protocol === "" ? "TCP" : protocol).toLowerCase();
    const address = `${scheme}://${host}:${port}`;
    if (at === 0) {
      variables.set(`${prefix}_PORT`, address);
    }
    const portPrefix = `${prefix}_PORT_${port}_${scheme.toUpperCase()}`;
    variables.set(portPrefix, address);
    variables.set(`${portPrefix}_PROTO`, scheme);
    variables.set(`${portPrefix}_PORT`, String(port));
    variables.set(`${portPrefix}_ADDR`, clusterIP);
  }
}

function variableName(name: string): string {
  return name.replaceAll("-", "_").toUpperCase();
}
