import * as v from "valibot";
import { Failure, type FailureCode } from "../errors.ts";

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

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly subPathExpr?: string;
  readonly readOnly?: boolean;
  readonly [field: string]: unknown;
}

export interface Volume {
  readonly name: string;
  readonly secret?: SecretVolume | null;
  readonly configMap?: ConfigMapVolume | null;
  readonly projected?: ProjectedVolume | null;
  readonly downwardAPI?: DownwardVolume | null;
  readonly hostPath?: { readonly path: string; readonly type?: string | null } | null;
  readonly persistentVolumeClaim?: {
    readonly claimName: string;
    readonly readOnly?: boolean;
  } | null;
  readonly image?: { readonly pullPolicy?: string; readonly [field: string]: unknown } | null;
  readonly [source: string]: unknown;
}

/** Fields that secret, configMap, downwardAPI and projected volumes share. `defaultUser`: 1.37. */
export interface FileDefaults {
  readonly defaultMode?: number | null;
  readonly defaultUser?: number | null;
}

export interface SecretVolume extends FileDefaults {
  readonly secretName?: string;
  readonly items?: readonly KeyToPath[] | null;
  readonly optional?: boolean | null;
}

export interface ConfigMapVolume extends FileDefaults {
  readonly name?: string;
  readonly items?: readonly KeyToPath[] | null;
  readonly optional?: boolean | null;
}

export interface DownwardVolume extends FileDefaults {
  readonly items?: readonly DownwardFile[] | null;
}

export interface KeyToPath {
  readonly key: string;
  readonly path: string;
  readonly mode?: number | null;
  readonly user?: number | null;
}

export interface DownwardFile {
  readonly path: string;
  readonly mode?: number | null;
  readonly user?: number | null;
  readonly fieldRef?: FieldSelector | null;
  readonly resourceFieldRef?: ResourceFieldSelector | null;
}

export interface ProjectedVolume extends FileDefaults {
  readonly sources?: readonly ProjectedSource[] | null;
}

export interface ProjectedSource {
  readonly secret?: (ObjectReference & { readonly items?: readonly KeyToPath[] | null }) | null;
  readonly configMap?: (ObjectReference & { readonly items?: readonly KeyToPath[] | null }) | null;
  readonly downwardAPI?: DownwardVolume | null;
  readonly serviceAccountToken?: TokenSource | null;
  readonly [source: string]: unknown;
}

export interface TokenSource {
  readonly audience?: string;
  readonly expirationSeconds?: number | null;
  readonly path: string;
  readonly user?: number | null;
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

/** An object with these fields and any others; Valibot alone would take an array for one. */
const object = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(
    v.custom<object>((value) => !Array.isArray(value)),
    v.looseObject(entries),
  );
const maybe = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.nullable(schema));
const list = <Schema extends v.GenericSchema>(schema: Schema) => maybe(v.array(schema));
const text = v.string();
const flag = v.boolean();
const quantity = v.union([text, v.pipe(v.number(), v.finite())]);
const strings = maybe(mapOf((value) => typeof value === "string", "string"));
const quantities = maybe(mapOf((value) => v.is(quantity, value), "(string | number)"));
/** File mode: 0 to 0777. Source: v1.37.2 `validation.go: fileModeErrorMsg`. */
const mode = maybe(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o777)));
/** User or group id: 0 to 2147483647. Source: apimachinery v0.37.2 `IsValidUserID`. */
const id = maybe(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2147483647)));

const requirements = maybe(
  object({ limits: quantities, requests: quantities, claims: list(v.unknown()) }),
);
const keySelector = maybe(object({ name: maybe(text), key: text, optional: maybe(flag) }));
const fieldSelector = maybe(object({ fieldPath: text }));
const resourceSelector = maybe(
  object({ containerName: maybe(text), resource: text, divisor: maybe(quantity) }),
);
const objectReference = { name: maybe(text), optional: maybe(flag) };
const networkAction = maybe(object({ port: v.union([text, v.number()]) }));
const handler = maybe(
  object({
    httpGet: networkAction,
    tcpSocket: networkAction,
    sleep: maybe(object({ seconds: v.number() })),
  }),
);
const container = object({
  name: text,
  image: maybe(text),
  command: list(text),
  args: list(text),
  imagePullPolicy: maybe(text),
  restartPolicy: maybe(text),
  env: list(
    object({
      name: text,
      value: maybe(text),
      valueFrom: maybe(
        object({
          fieldRef: fieldSelector,
          resourceFieldRef: resourceSelector,
          configMapKeyRef: keySelector,
          secretKeyRef: keySelector,
        }),
      ),
    }),
  ),
  envFrom: list(
    object({
      prefix: maybe(text),
      configMapRef: maybe(object(objectReference)),
      secretRef: maybe(object(objectReference)),
    }),
  ),
  ports: list(
    object({ name: maybe(text), containerPort: v.number(), hostPort: maybe(v.number()) }),
  ),
  resources: requirements,
  volumeMounts: list(
    object({
      name: text,
      mountPath: text,
      subPath: maybe(text),
      subPathExpr: maybe(text),
      readOnly: maybe(flag),
    }),
  ),
  volumeDevices: list(object({ name: text })),
  securityContext: maybe(object({ runAsUser: id })),
  lifecycle: maybe(object({ postStart: handler, preStop: handler })),
  livenessProbe: handler,
  readinessProbe: handler,
  startupProbe: handler,
});

const items = list(object({ key: text, path: text, mode, user: id }));
const downward = {
  items: list(
    object({
      path: text,
      mode,
      user: id,
      fieldRef: fieldSelector,
      resourceFieldRef: resourceSelector,
    }),
  ),
};
const defaults = { defaultMode: mode, defaultUser: id };
const volume = object({
  name: text,
  secret: maybe(object({ ...defaults, secretName: maybe(text), items, optional: maybe(flag) })),
  configMap: maybe(object({ ...defaults, ...objectReference, items })),
  downwardAPI: maybe(object({ ...defaults, ...downward })),
  projected: maybe(
    object({
      ...defaults,
      sources: list(
        object({
          secret: maybe(object({ ...objectReference, items })),
          configMap: maybe(object({ ...objectReference, items })),
          downwardAPI: maybe(object(downward)),
          serviceAccountToken: maybe(
            object({
              audience: maybe(text),
              expirationSeconds: maybe(v.number()),
              path: text,
              user: id,
            }),
          ),
        }),
      ),
    }),
  ),
  hostPath: maybe(object({ path: text, type: maybe(text) })),
  persistentVolumeClaim: maybe(object({ claimName: text, readOnly: maybe(flag) })),
  image: maybe(object({ pullPolicy: maybe(text) })),
});

const status = object({
  name: text,
  state: maybe(
    object({
      running: maybe(object({ startedAt: maybe(text) })),
      terminated: maybe(object({ startedAt: maybe(text) })),
    }),
  ),
});

const metadata = object({
  name: text,
  namespace: maybe(text),
  uid: maybe(text),
  creationTimestamp: maybe(text),
  deletionTimestamp: maybe(text),
  labels: strings,
  annotations: strings,
  ownerReferences: list(object({ kind: text, name: text, controller: maybe(flag) })),
});

const objectSchema = object({ kind: text, metadata });
const podSchema = object({
  metadata,
  spec: object({
    nodeName: maybe(text),
    hostname: maybe(text),
    hostNetwork: maybe(flag),
    dnsPolicy: maybe(text),
    dnsConfig: maybe(object({ nameservers: list(text), searches: list(text) })),
    enableServiceLinks: maybe(flag),
    restartPolicy: maybe(text),
    runtimeClassName: maybe(text),
    serviceAccountName: maybe(text),
    serviceAccount: maybe(text),
    securityContext: maybe(object({ runAsUser: id, fsGroup: id })),
    resourceClaims: list(v.unknown()),
    volumes: list(volume),
    containers: v.array(container),
    initContainers: list(container),
    resources: requirements,
  }),
  status: maybe(
    object({
      phase: maybe(text),
      hostIP: maybe(text),
      hostIPs: list(object({ ip: maybe(text) })),
      containerStatuses: list(status),
      initContainerStatuses: list(status),
    }),
  ),
});
const secretSchema = object({ metadata, data: strings, stringData: strings });
const configMapSchema = object({ metadata, data: strings, binaryData: strings });
const serviceSchema = object({
  metadata,
  spec: object({
    clusterIP: maybe(text),
    ports: list(object({ name: maybe(text), protocol: maybe(text), port: v.number() })),
    selector: strings,
  }),
});

/** A map with values of one type. Valibot's own leaves keys such as `__proto__` unchecked. */
function mapOf(isValue: (value: unknown) => boolean, expected: string) {
  return v.pipe(
    v.unknown(),
    v.rawCheck(({ dataset, addIssue }) => {
      const input = dataset.value;
      if (typeof input !== "object" || input === null || Array.isArray(input)) {
        addIssue({ expected: "Object" });
        return;
      }
      for (const [key, value] of Object.entries(input)) {
        if (!isValue(value)) {
          addIssue({ expected, path: [{ type: "unknown", origin: "value", input, key, value }] });
          return;
        }
      }
    }),
  );
}

const schemas: Readonly<Record<string, v.GenericSchema>> = {
  Pod: podSchema,
  Secret: secretSchema,
  ConfigMap: configMapSchema,
  Service: serviceSchema,
};

/** RFC 1123 subdomain and label. Source: apimachinery v0.37.2 `validation.go`. */
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const uuidPattern = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

/** Pure. True for an RFC 1123 label of at most 63 characters. */
export function isDnsLabel(value: string): boolean {
  return value.length <= 63 && labelPattern.test(value);
}

/** Pure. True for an RFC 1123 subdomain of at most 253 characters. */
export function isDnsSubdomain(value: string): boolean {
  return value.length <= 253 && subdomainPattern.test(value);
}

/**
 * Takes one parsed value as a Kubernetes object of any kind.
 *
 * Pure. The value itself is returned: unknown fields survive. Names are safe as path components.
 *
 * @throws {Failure} E_OBJECT only when a field that we rely on has another type than Kubernetes gives it,
 *   E_MODE, E_ID only when such a number is out of range, E_NAME, E_UID only when the name or uid is malformed
 */
export function parseObject(value: unknown): KubernetesObject {
  check(objectSchema, value, "object");
  const object = value as KubernetesObject;
  const name = describeObject(object);
  // RBAC names may hold a colon and are never used as a path; only the kinds that we use are checked.
  const schema = Object.hasOwn(schemas, object.kind) ? schemas[object.kind] : undefined;
  if (schema !== undefined) {
    const { namespace } = object.metadata;
    if (!isDnsSubdomain(object.metadata.name) || (namespace != null && !isDnsLabel(namespace))) {
      throw new Failure("E_NAME", {
        what: `${object.kind} has a name that Kubernetes does not allow`,
        where: "metadata.name, metadata.namespace",
        found: `${JSON.stringify(object.metadata.name).slice(0, 80)} in ${JSON.stringify(namespace ?? "").slice(0, 80)}`,
        next: "Correct the object",
      });
    }
    check(schema, value, name);
  }
  if (object.kind === "Pod") {
    checkPod(object as Pod, name);
  }
  return object;
}

function checkPod(pod: Pod, name: string): void {
  const { uid } = pod.metadata;
  if (uid !== undefined && uid !== null && !uuidPattern.test(uid)) {
    throw new Failure("E_UID", {
      what: `${name} has a malformed uid`,
      where: "metadata.uid",
      found: uid === "" ? "an empty string" : `${uid.length} characters that are not a UUID`,
      next: "Leave the field out of a hand-written pod",
    });
  }
  for (const item of [
    ...(pod.spec.volumes ?? []),
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []),
  ]) {
    if (!isDnsLabel(item.name)) {
      throw new Failure("E_NAME", {
        what: `${name} has a volume or container with a name that Kubernetes does not allow`,
        where: "spec",
        found: JSON.stringify(item.name).slice(0, 80),
        next: "Correct the object",
      });
    }
  }
}

/** Pure. `Secret kube-system/etcd`, for messages. */
export function describeObject(object: KubernetesObject): string {
  const { namespace, name } = object.metadata;
  const safe = JSON.stringify(name).slice(1, -1).slice(0, 253);
  return namespace == null || namespace === ""
    ? `${object.kind} ${safe}`
    : `${object.kind} ${JSON.stringify(namespace).slice(1, -1).slice(0, 63)}/${safe}`;
}

function check(schema: v.GenericSchema, value: unknown, name: string): void {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) {
    return;
  }
  const [issue] = result.issues;
  const field = issue.path?.map((item) => String(item.key)).join(".") ?? "(document)";
  // Valibot's own message quotes what it found, which may be a secret: only its expectation is told.
  throw new Failure(codeOf(issue), {
    what: `${name} is not what the Kubernetes API defines`,
    where: field.slice(0, 200),
    found: `expected ${issue.expected ?? "another value"}`,
    next: "Correct the object",
  });
}

function codeOf(issue: v.BaseIssue<unknown>): FailureCode {
  const key = issue.path?.at(-1)?.key;
  if (key === "mode" || key === "defaultMode") {
    return "E_MODE";
  }
  return key === "user" || key === "defaultUser" || key === "runAsUser" || key === "fsGroup"
    ? "E_ID"
    : "E_OBJECT";
}
