import { Failure } from "../errors.ts";
import { marks } from "../model/marks.ts";
import { isDnsLabel, isDnsSubdomain } from "../model/names.ts";
import { kubeletAtLeast, type PodContext, podName, warn } from "./pod-context.ts";

/** Annotations that belong to the parent's life in the API, or to its network sandbox. */
const removedAnnotations = [
  /^kubernetes\.io\/config\./,
  /^kubectl\.kubernetes\.io\//,
  /^cluster-autoscaler\.kubernetes\.io\//,
  /^k8s\.v1\.cni\.cncf\.io\/networks?-status$/,
  /^cni\.projectcalico\.org\/(podIPs?|containerID)$/,
  /^k8s\.ovn\.org\/pod-networks$/,
  /^(blackstart\.dev|checkpointer\.alpha\.coreos\.com)\//,
];

/** Sum of annotation keys and values that validation accepts. Source: apimachinery v0.37.2. */
const maxAnnotationBytes = 262_144;

/**
 * The metadata of the static pod, save for `resourceVersion`.
 *
 * Pure. No uid: the kubelet indexes pods by it across sources, and the parent's must stay the parent's.
 *
 * @throws {Failure} E_NAME only when the kubelet could not run a pod of the resulting name,
 *   E_ANNOTATION only when the annotations are larger than validation accepts
 */
export function planNames(
  context: PodContext,
  generation: number | undefined,
): Readonly<Record<string, unknown>> {
  const { metadata } = context.pod;
  const name = copyName(context);
  const annotations: [string, string][] = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => !removedAnnotations.some((pattern) => pattern.test(key)),
  );
  annotations.push([marks.checkpointOf, metadata.name]);
  if (metadata.uid != null) {
    annotations.push([marks.parentUid, metadata.uid]);
  }
  if (generation !== undefined) {
    annotations.push([marks.generation, String(generation)]);
  }
  const bytes = annotations.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  if (bytes > maxAnnotationBytes) {
    throw new Failure("E_ANNOTATION", {
      what: `${podName(context)} has more annotations than a manifest may have`,
      where: "metadata.annotations",
      found: `${bytes} bytes, at most ${maxAnnotationBytes} are accepted`,
      next: "Shorten the pod's annotations",
    });
  }
  return {
    name,
    namespace: context.namespace,
    labels: { "blackstart.dev/checkpoint": "true" },
    annotations: Object.fromEntries(annotations),
  };
}

/** The parent's name, unless the kubelet's `<name>-<node>` is already the name of another pod. */
function copyName(context: PodContext): string {
  const { name } = context.pod.metadata;
  const { index, namespace, node } = context;
  const isTaken = index.find("Pod", namespace, `${name}-${node}`) !== undefined;
  const chosen = isTaken ? `${name}-blackstart` : name;
  const whole = `${chosen}-${context.node}`;
  // /var/log/pods/<namespace>_<name>_<uid>, uid of 32 digits, is one file name (kuberuntime/helpers.go).
  const logName = context.namespace.length + whole.length + 32 + 2;
  if (!isDnsSubdomain(whole) || logName > 255) {
    throw new Failure("E_NAME", {
      what: `${podName(context)} has a name too long for a copy beside it`,
      where: "metadata.name",
      found: `${whole.length} characters with the node's name; the kubelet's log directory would need ${logName} of 255`,
      next: "Keep the pod out of the checkpoint, or shorten its name",
    });
  }
  return chosen;
}

/**
 * Keeps the parent's host name: the copy's own pod name has the node's name behind it.
 *
 * Pure. Source: v1.37.2 `kubelet_pods.go: GeneratePodHostNameAndDomain()`.
 */
export function planHostname(context: PodContext): Readonly<Record<string, string>> {
  const { metadata, spec } = context.pod;
  if (spec.hostNetwork === true || isSet(spec.hostname) || isSet(spec["hostnameOverride"])) {
    return {};
  }
  const hostname =
    metadata.name.length > 63 ? metadata.name.slice(0, 63).replace(/[-.]+$/, "") : metadata.name;
  if (isDnsLabel(hostname)) {
    return { hostname };
  }
  // hostnameOverride drops the subdomain and excludes setHostnameAsFQDN (validation.go, 1.37.2).
  if (
    kubeletAtLeast(context, 35) &&
    !isSet(spec["subdomain"]) &&
    spec["setHostnameAsFQDN"] !== true
  ) {
    return { hostnameOverride: hostname };
  }
  warn(
    context,
    "W_HOSTNAME",
    `the copy's host name has the node's name behind it: ${hostname} holds a dot, and no field of this kubelet can say so`,
  );
  return {};
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}
