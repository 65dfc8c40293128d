import { Failure } from "../errors.ts";
import type { Container, PodSpec } from "../model/kubernetes.ts";
import { isDnsSubdomain } from "../model/names.ts";
import type { Volume } from "../model/volume-sources.ts";
import { planContainer, planResources } from "./container.ts";
import { type Environment, planEnvironment } from "./environment.ts";
import { planGroups } from "./groups.ts";
import { planHostname, planNames } from "./identity.ts";
import { kubeletAtLeast, type PodContext, podName, warn } from "./pod-context.ts";

/** The finished manifest as a value, and whether a Secret's value is in it. */
export interface StaticPod {
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly carriesSecret: boolean;
}

/** Fields of a pod's spec that no static pod may or should have. */
const removedFields = [
  // names of API objects: the kubelet ignores the whole manifest (1.34)
  "serviceAccountName",
  "serviceAccount",
  "automountServiceAccountToken",
  "imagePullSecrets",
  "resourceClaims",
  // placement: labels that the API gave the node are not there at a cold boot
  "nodeSelector",
  "affinity",
  "topologySpreadConstraints",
  // refused or deadly at creation
  "ephemeralContainers",
  "schedulingGates",
  "readinessGates",
  "activeDeadlineSeconds",
  "runtimeClassName",
  "overhead",
];

/**
 * The static pod that runs what the parent ran.
 *
 * Pure. Fields that are not known here are carried through.
 * Source: v1.37.2 `pkg/kubelet/config/common.go`, `lifecycle/predicate.go`, `plugin/pkg/admission`.
 *
 * @param volumes what takes the place of the parent's volumes
 * @param readOnlyVolumes names of those whose mounts must be read-only
 * @throws {Failure} only when the pod cannot be projected; the code says why
 */
export function planStaticPod(
  context: PodContext,
  volumes: readonly Volume[],
  readOnlyVolumes: ReadonlySet<string>,
  generation: number | undefined,
): StaticPod {
  const { spec } = context.pod;
  checkProjectable(context);
  const environments: Environment[] = [];
  const project = (container: Container, isInit: boolean, field: string): Container => {
    const environment = planEnvironment(context, container, field);
    environments.push(environment);
    return planContainer(context, container, isInit, environment, readOnlyVolumes);
  };
  const containers = spec.containers.map((one, at) =>
    project(one, false, `spec.containers[${at}]`),
  );
  const initContainers = spec.initContainers?.map((one, at) =>
    project(one, true, `spec.initContainers[${at}]`),
  );
  const carriesSecret = environments.some((environment) => environment.carriesSecret);
  const kept: Record<string, unknown> = { ...spec };
  for (const field of removedFields) {
    delete kept[field];
  }
  return {
    carriesSecret,
    manifest: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        ...planNames(context, generation),
        // The apiserver refuses to store an object that comes with a resourceVersion, so that the kubelet's
        // mirror pod, which would show these values to everybody who reads pods, is never made.
        // Measured: kubelets and apiservers 1.34.4, 1.35.4, 1.36.3, 1.37.2.
        ...(carriesSecret ? { resourceVersion: "1" } : {}),
      },
      spec: {
        ...kept,
        ...planHostname(context),
        ...planDns(context),
        ...planGroups(context, volumes),
        ...(spec.resources == null
          ? {}
          : { resources: planResources(context, spec.resources, "the pod") }),
        ...(initContainers === undefined || initContainers.length === 0 ? {} : { initContainers }),
        containers,
        volumes,
      },
    },
  };
}

function checkProjectable(context: PodContext): void {
  const { spec } = context.pod;
  if (spec.resourceClaims != null && spec.resourceClaims.length > 0) {
    throw new Failure("E_UNSUPPORTED_FIELD", {
      what: `${podName(context)} claims devices through the API`,
      where: "spec.resourceClaims",
      next: "Keep the pod out of the checkpoint",
    });
  }
  const { runtimeClassName } = spec;
  if (runtimeClassName == null || runtimeClassName === "") {
    return;
  }
  const handler = context.index.find("RuntimeClass", "", runtimeClassName)?.["handler"];
  // The runtimes' own default handlers: containerd 2.3 `default_runtime_name`, CRI-O 1.34 `default_runtime`.
  if (handler !== "runc" && handler !== "crun") {
    throw new Failure("E_RUNTIME_CLASS", {
      what: `${podName(context)} wants a runtime class that the kubelet can only look up through the API`,
      where: "spec.runtimeClassName",
      found: `${runtimeClassName}, ${typeof handler === "string" ? `handler ${handler}` : "which the checkpoint does not hold"}`,
      next: "Keep the pod out of the checkpoint, or capture its RuntimeClass if that is the runtime's default",
    });
  }
  warn(
    context,
    "W_RUNTIME_CLASS",
    `runtime class ${runtimeClassName} is left out: its handler ${handler} is taken for the runtime's default`,
  );
}

/**
 * Cluster DNS answers at a cold boot only where one of its own pods is restored beside this pod.
 */
function planDns(context: PodContext): Pick<PodSpec, "dnsPolicy" | "dnsConfig"> {
  const { spec } = context.pod;
  const { dnsPolicy = "ClusterFirst" } = spec;
  const searches = spec.dnsConfig?.searches?.filter((search) => isSearch(context, search));
  const dnsConfig =
    spec.dnsConfig != null &&
    searches !== undefined &&
    searches.length < (spec.dnsConfig.searches?.length ?? 0)
      ? { dnsConfig: { ...spec.dnsConfig, searches } }
      : {};
  if (dnsPolicy === "ClusterFirst" && spec.hostNetwork === true) {
    return { dnsPolicy: "Default", ...dnsConfig }; // what the kubelet makes of it
  }
  const wantsCluster = dnsPolicy === "ClusterFirst" || dnsPolicy === "ClusterFirstWithHostNet";
  if (!wantsCluster || hasClusterDns(context)) {
    return { dnsPolicy, ...dnsConfig };
  }
  warn(
    context,
    "W_DNS",
    "no pod of the cluster's DNS is in the checkpoint: the copy asks the node's resolvers and does not find names of the cluster",
  );
  return { dnsPolicy: "Default", ...dnsConfig };
}

function isSearch(context: PodContext, search: string): boolean {
  if (kubeletAtLeast(context, 35) || isDnsSubdomain(search.replace(/\.$/, ""))) {
    return true;
  }
  warn(
    context,
    "W_FIELD_DROPPED",
    `DNS search domain ${JSON.stringify(search).slice(0, 80)} is left out, kubelets before 1.35 refuse it in a manifest`,
  );
  return false;
}

function hasClusterDns({ index }: PodContext): boolean {
  const services = index.services.filter(
    ({ spec }) =>
      spec.selector != null &&
      spec.ports?.some(({ port, protocol }) => port === 53 && protocol === "UDP") === true,
  );
  return services.some(({ metadata, spec }) =>
    index.pods.some(
      (pod) =>
        (pod.metadata.namespace ?? "default") === (metadata.namespace ?? "default") &&
        Object.entries(spec.selector ?? {}).every(
          ([key, value]) => pod.metadata.labels?.[key] === value,
        ),
    ),
  );
}
