import type { Checkpoint } from "../model/checkpoint.ts";
import { encodeJson, isExactNumber } from "../model/json.ts";
import type {
  ContainerStatus,
  KubernetesObject,
  Pod,
  PodStatus,
  Service,
} from "../model/kubernetes.ts";
import { isPod } from "./select.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Metadata that changes with every write, whatever was written. */
const volatileMetadata = ["managedFields", "resourceVersion", "generation"];
/** What a Node is marked with by others while it runs; no restore reads it. */
const nodeMarks = ["labels", "annotations"];
const nodeStates = ["taints", "unschedulable"];
/**
 * Annotations that are heartbeats. A ConfigMap that is a leader's lock is renewed every few seconds. Source: client-go
 * v0.37.2 `tools/leaderelection/resourcelock/interface.go`; k8s.io/api v0.37.2 `core/v1/annotation_key_constants.go`.
 */
const heartbeatAnnotations = [
  "control-plane.alpha.kubernetes.io/leader",
  "endpoints.kubernetes.io/last-change-trigger-time",
];

/**
 * The bytes that are equal for two checkpoints that would be restored alike.
 *
 * Pure. Secret: for a keyed digest only (`contentTag`). Left out are the time of the capture, what the apiserver counts
 * up at each write, and status but for what a restore reads. Everything else counts, fields that nobody here
 * has heard of too. The order of keys does not matter; the order of lists does.
 *
 * @param tokens  false leaves the tokens out, and the reasons why some could not be minted: they change with time alone
 */
export function essenceOf(
  checkpoint: Checkpoint,
  { tokens }: { readonly tokens: boolean },
): Uint8Array {
  const { metadata, items, tokens: held, unminted, ...rest } = checkpoint;
  const services = items.filter((item): item is Service => item.kind === "Service");
  const document = {
    ...rest,
    metadata: without(metadata, ["capturedAt"]),
    items: items.map((item) => essenceOfItem(item, services)),
    ...(tokens ? { tokens: held, unminted: unminted ?? [] } : {}),
  };
  return Buffer.from(encodeJson(inOneOrder(document)), "utf8");
}

function essenceOfItem(item: KubernetesObject, services: readonly Service[]): Fields {
  const { metadata, status, ...rest } = item;
  const kept = without(metadata, volatileMetadata);
  if (isPod(item)) {
    return { ...rest, metadata: kept, status: essenceOfPodStatus(item, services) };
  }
  if (item.kind === "Node") {
    return {
      ...rest,
      metadata: without(kept, nodeMarks),
      spec: isFields(rest["spec"]) ? without(rest["spec"], nodeStates) : rest["spec"],
      status: isFields(status) ? essenceOfNodeStatus(status) : status,
    };
  }
  const { annotations } = metadata;
  return {
    ...rest,
    metadata:
      annotations == null
        ? kept
        : { ...kept, annotations: without(annotations, heartbeatAnnotations) },
  };
}

/** What plan/ reads of a pod's status, the addresses that the probe asks, and the images that ran. */
function essenceOfPodStatus(pod: Pod, services: readonly Service[]): Fields | undefined {
  const { status } = pod;
  return status == null
    ? undefined
    : {
        hostIP: status.hostIP,
        hostIPs: status.hostIPs,
        containers: statusesOf(status)
          .map((one) => essenceOfContainer(one, pod, services))
          .sort((a, b) => (a.name < b.name ? -1 : 1)),
      };
}

/**
 * A restart of a container is no change, unless it let the container see a Service for the first time: that is all that
 * plan/service-links.ts does with the time of the start.
 */
function essenceOfContainer(
  { name, state, imageID }: ContainerStatus,
  pod: Pod,
  services: readonly Service[],
): Fields & { readonly name: string } {
  const startedAt = state?.running?.startedAt ?? state?.terminated?.startedAt ?? undefined;
  const unseen = services
    .filter(
      ({ metadata }) => startedAt !== undefined && (metadata.creationTimestamp ?? "") > startedAt,
    )
    .filter((service) => givesVariables(service, pod))
    .map(({ metadata }) => `${metadata.namespace ?? "default"}/${metadata.name}`);
  return { name, imageID, unseen };
}

function givesVariables({ metadata, spec }: Service, pod: Pod): boolean {
  const { name, namespace = "default" } = metadata;
  const { clusterIP = "" } = spec;
  const isMaster = namespace === "default" && name === "kubernetes";
  const isLinked =
    namespace === (pod.metadata.namespace ?? "default") && pod.spec.enableServiceLinks !== false;
  return clusterIP !== "" && clusterIP !== "None" && (isLinked || isMaster);
}

function statusesOf({ containerStatuses, initContainerStatuses }: PodStatus) {
  return [...(containerStatuses ?? []), ...(initContainerStatuses ?? [])];
}

function essenceOfNodeStatus({ allocatable, addresses, nodeInfo }: Fields): Fields {
  const version = isFields(nodeInfo) ? nodeInfo["kubeletVersion"] : undefined;
  return { allocatable, addresses, kubeletVersion: version };
}

function without(fields: Fields | object, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value with the keys of every object sorted; numbers that are kept as text stay what they are. */
function inOneOrder(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(inOneOrder);
  }
  if (!isFields(value) || isExactNumber(value)) {
    return value;
  }
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, inOneOrder(value[name])]));
}
