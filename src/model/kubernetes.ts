import type { Volume, VolumeMount } from "./volume-sources.ts";

/**
 * The fields of Kubernetes v1 objects that the projection relies on.
 *
 * Objects stay the raw JSON that was read; these types only look at them. Every field that is not
 * named here is carried through untouched. Source: k8s.io/api v0.37.2 `core/v1/types.go`.
 */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly creationTimestamp?: string | null;
  readonly deletionTimestamp?: string | null;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly ownerReferences?: readonly OwnerReference[] | null;
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean;
}

export interface Pod extends KubernetesObject {
  readonly kind: "Pod";
  readonly spec: PodSpec;
  readonly status?: PodStatus;
}

export interface PodStatus {
  readonly phase?: string;
  readonly hostIP?: string;
  readonly hostIPs?: readonly { readonly ip?: string }[] | null;
  readonly containerStatuses?: readonly ContainerStatus[] | null;
  readonly initContainerStatuses?: readonly ContainerStatus[] | null;
  readonly [field: string]: unknown;
}

export interface ContainerStatus {
  readonly name: string;
  readonly state?: {
    readonly running?: { readonly startedAt?: string | null };
    readonly terminated?: { readonly startedAt?: string | null };
  };
  readonly [field: string]: unknown;
}

export interface PodSpec {
  readonly nodeName?: string;
  readonly hostname?: string;
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly dnsConfig?: PodDnsConfig | null;
  readonly enableServiceLinks?: boolean | null;
  readonly restartPolicy?: string;
  readonly runtimeClassName?: string | null;
  readonly serviceAccountName?: string;
  readonly serviceAccount?: string;
  readonly securityContext?: PodSecurityContext | null;
  readonly resourceClaims?: readonly unknown[] | null;
  readonly volumes?: readonly Volume[] | null;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[] | null;
  readonly resources?: ResourceRequirements | null;
  readonly [field: string]: unknown;
}

export interface PodDnsConfig {
  readonly nameservers?: readonly string[] | null;
  readonly searches?: readonly string[] | null;
  readonly [field: string]: unknown;
}

export interface PodSecurityContext {
  readonly runAsUser?: number | null;
  readonly fsGroup?: number | null;
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[] | null;
  readonly args?: readonly string[] | null;
  readonly imagePullPolicy?: string;
  readonly restartPolicy?: string;
  readonly env?: readonly EnvVar[] | null;
  readonly envFrom?: readonly EnvFromSource[] | null;
  readonly ports?: readonly ContainerPort[] | null;
  readonly resources?: ResourceRequirements | null;
  readonly volumeMounts?: readonly VolumeMount[] | null;
  readonly volumeDevices?: readonly { readonly name: string }[] | null;
  readonly securityContext?: { readonly runAsUser?: number | null } | null;
  readonly lifecycle?: Lifecycle | null;
  readonly livenessProbe?: Handler | null;
  readonly readinessProbe?: Handler | null;
  readonly startupProbe?: Handler | null;
  readonly [field: string]: unknown;
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly hostPort?: number;
  readonly [field: string]: unknown;
}

export interface ResourceRequirements {
  readonly limits?: Readonly<Record<string, Quantity>> | null;
  readonly requests?: Readonly<Record<string, Quantity>> | null;
  readonly claims?: readonly unknown[] | null;
  readonly [field: string]: unknown;
}

/** A resource quantity as JSON may carry it. */
export type Quantity = string | number;

/** A probe, or one hook of `lifecycle`. */
export interface Handler {
  readonly httpGet?: NetworkAction | null;
  readonly tcpSocket?: NetworkAction | null;
  readonly sleep?: { readonly seconds: number } | null;
  readonly [field: string]: unknown;
}

export interface NetworkAction {
  readonly port: string | number;
  readonly [field: string]: unknown;
}

export interface Lifecycle {
  readonly postStart?: Handler | null;
  readonly preStop?: Handler | null;
  readonly [field: string]: unknown;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string | null;
  readonly valueFrom?: EnvVarSource | null;
  readonly [field: string]: unknown;
}

export interface EnvVarSource {
  readonly fieldRef?: FieldSelector | null;
  readonly resourceFieldRef?: ResourceFieldSelector | null;
  readonly configMapKeyRef?: KeySelector | null;
  readonly secretKeyRef?: KeySelector | null;
  readonly [field: string]: unknown;
}

export interface KeySelector {
  readonly name?: string;
  readonly key: string;
  readonly optional?: boolean | null;
}

export interface FieldSelector {
  readonly fieldPath: string;
}

export interface ResourceFieldSelector {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: Quantity | null;
}

export interface EnvFromSource {
  readonly prefix?: string;
  readonly configMapRef?: ObjectReference | null;
  readonly secretRef?: ObjectReference | null;
}

export interface ObjectReference {
  readonly name?: string;
  readonly optional?: boolean | null;
}

export interface Secret extends KubernetesObject {
  readonly kind: "Secret";
  readonly data?: Readonly<Record<string, string>> | null;
  readonly stringData?: Readonly<Record<string, string>> | null;
}

export interface ConfigMap extends KubernetesObject {
  readonly kind: "ConfigMap";
  readonly data?: Readonly<Record<string, string>> | null;
  readonly binaryData?: Readonly<Record<string, string>> | null;
}

export interface Service extends KubernetesObject {
  readonly kind: "Service";
  readonly spec: {
    readonly clusterIP?: string;
    readonly ports?: readonly ServicePort[] | null;
    readonly selector?: Readonly<Record<string, string>> | null;
    readonly [field: string]: unknown;
  };
}

export interface ServicePort {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
}

/** `namespace/name`, unique per kind; cluster-scoped objects have an empty namespace. */
export type ObjectKey = string;

/** Pure. The key under which references find an object. */
export function keyOf(object: KubernetesObject): ObjectKey {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

/** Pure. `Secret kube-system/etcd`, for messages. */
export function describeObject(object: KubernetesObject): string {
  const { namespace, name } = object.metadata;
  const safe = JSON.stringify(name).slice(1, -1).slice(0, 253);
  return namespace == null || namespace === ""
    ? `${object.kind} ${safe}`
    : `${object.kind} ${JSON.stringify(namespace).slice(1, -1).slice(0, 63)}/${safe}`;
}
