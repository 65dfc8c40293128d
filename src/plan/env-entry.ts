import { Failure } from "../errors.ts";
import type { Container, EnvVar } from "../model/kubernetes.ts";
import { fieldValue, resourceValue } from "./downward.ts";
import { kubeletAtLeast, type PodContext, podName, warn } from "./pod-context.ts";
import { configMapValue, secretValue } from "./referenced.ts";

/**
 * One entry of `env` as the copy needs it; undefined when it is optional and missing, or no kubelet takes its name.
 *
 * Pure.
 *
 * @throws {Failure} E_ENV_NAME, E_ENV_BYTES, E_REF_MISSING, E_UNSUPPORTED_FIELD only when the pod cannot be projected
 */
export function resolveEntry(
  context: PodContext,
  container: Container,
  entry: EnvVar,
  place: string,
): EnvVar | undefined {
  const { name, value, valueFrom } = entry;
  if (!/^[ -<>-~]+$/.test(name)) {
    throw new Failure("E_ENV_NAME", {
      what: `${podName(context)} has an environment variable with an impossible name`,
      where: place,
      found: name === "" ? "an empty name" : JSON.stringify(name).slice(0, 80),
      next: "Correct the pod",
    });
  }
  if (!isAccepted(context, name)) {
    warn(
      context,
      "W_ENV_NAME",
      `${place}: variable ${JSON.stringify(name).slice(0, 80)} is left out: kubelets before 1.35 take no such name from a manifest`,
    );
    return undefined;
  }
  if (value != null && value !== "") {
    // As the kubelet does; no API admits such a pod, but a person writes one.
    const { valueFrom: _ignored, ...rest } = entry;
    return rest;
  }
  if (valueFrom == null) {
    return entry;
  }
  if (valueFrom.configMapKeyRef != null) {
    const text = configMapValue(
      context,
      valueFrom.configMapKeyRef,
      `${place}.valueFrom.configMapKeyRef`,
    );
    return text === undefined ? undefined : literal(name, text);
  }
  if (valueFrom.secretKeyRef != null) {
    const text = secretValue(context, valueFrom.secretKeyRef, `${place}.valueFrom.secretKeyRef`);
    return text === undefined ? undefined : literal(name, text);
  }
  if (valueFrom.fieldRef != null) {
    const text = environmentField(context, valueFrom.fieldRef.fieldPath);
    return text === undefined ? entry : literal(name, text);
  }
  if (valueFrom.resourceFieldRef?.resource.startsWith("requests.") === true) {
    return requestEntry(context, container, entry);
  }
  if (valueFrom["fileKeyRef"] != null && !kubeletAtLeast(context, 35)) {
    throw new Failure("E_UNSUPPORTED_FIELD", {
      what: `${podName(context)} takes a variable from a file`,
      where: `${place}.valueFrom.fileKeyRef`,
      found: "a kubelet that is not known to be 1.35 or newer",
      next: "Upgrade the kubelet, or give the value in another way",
    });
  }
  return entry;
}

/** Requests are zero in the copy, so what the parent was told about them is written out. */
function requestEntry(context: PodContext, container: Container, entry: EnvVar): EnvVar {
  const selector = entry.valueFrom?.resourceFieldRef;
  if (selector == null) {
    return entry;
  }
  const { containers, initContainers } = context.pod.spec;
  const { containerName } = selector;
  const owner =
    containerName === undefined || containerName === ""
      ? container
      : [...containers, ...(initContainers ?? [])].find(({ name }) => name === containerName);
  const text = owner === undefined ? undefined : resourceValue(context, owner, selector);
  return text === undefined ? entry : literal(entry.name, text);
}

function environmentField(context: PodContext, fieldPath: string): string | undefined {
  const { hostIP, hostIPs } = context.pod.status ?? {};
  const addresses = hostIPs?.map(({ ip }) => ip ?? "").filter((ip) => ip !== "") ?? [];
  const isCloud = context.index.find("Node", "", context.node)?.["spec"];
  const hasProvider =
    typeof isCloud === "object" &&
    isCloud !== null &&
    "providerID" in isCloud &&
    isCloud.providerID !== "";
  switch (fieldPath) {
    case "metadata.namespace":
      return undefined; // the static pod's own is the same
    case "status.hostIPs":
      // Kubelets before 1.32 refuse the field in a manifest; an external cloud provider's node has no
      // address while the API is away (static-pod facts: node addresses come from the Node object).
      return addresses.length > 0 && (hasProvider || !kubeletAtLeast(context, 32))
        ? addresses.join(",")
        : undefined;
    case "status.hostIP":
      return hasProvider && hostIP !== undefined && hostIP !== "" ? hostIP : undefined;
    case "metadata.labels":
    case "metadata.annotations":
      return undefined; // whole maps are no environment value; the kubelet says so as it did before
    default:
      return fieldValue(context, fieldPath);
  }
}

/** Pure. Only literals are expanded by the kubelet, so a value that was not one has its `$` doubled. */
export function literal(name: string, value: string): EnvVar {
  return { name, value: value.replaceAll("$", "$$$$") };
}

/**
 * True for a name that the kubelet takes from a manifest.
 *
 * Pure. Kubelets before 1.35 validate a manifest's names by the strict rule.
 * Source: apimachinery v0.37.2 `validation.go: IsEnvVarName(), IsRelaxedEnvVarName()`.
 */
export function isAccepted(context: PodContext, name: string): boolean {
  return kubeletAtLeast(context, 35)
    ? /^[ -<>-~]+$/.test(name)
    : /^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name) && name !== "." && !name.startsWith("..");
}
