import type { Pod } from "../model/kubernetes.ts";
import type { Warning, WarningCode } from "../model/plan.ts";
import type { ObjectIndex } from "./object-index.ts";

/** What the projection of one pod may look at. */
export interface PodContext {
  readonly pod: Pod;
  readonly namespace: string;
  readonly index: ObjectIndex;
  readonly node: string;
  /** Minor version of the kubelet that will read the manifest: 37 for v1.37.2. */
  readonly kubeletMinor: number | undefined;
  readonly secretEnv: "inline" | "refuse";
  /** undefined when the clock cannot be trusted. */
  readonly now: Date | undefined;
  readonly warnings: Warning[];
}

/** Notes something that the reader should know about this pod. */
export function warn(context: PodContext, code: WarningCode, message: string): void {
  context.warnings.push({
    code,
    namespace: context.namespace,
    name: context.pod.metadata.name,
    message,
  });
}

/** Pure. `pod kube-system/etcd`, for messages. */
export function podName(context: PodContext): string {
  return `pod ${context.namespace}/${context.pod.metadata.name}`;
}

/**
 * True when the kubelet is known to be at least 1.`minor`.
 *
 * Pure. An unknown version counts as old: a manifest that an old kubelet accepts, a new one accepts too.
 */
export function kubeletAtLeast(context: PodContext, minor: number): boolean {
  return context.kubeletMinor !== undefined && context.kubeletMinor >= minor;
}

/** Pure. The minor version in `v1.37.2`, undefined for anything else. */
export function minorOf(version: string | undefined): number | undefined {
  const match = /^v?1\.(\d{1,3})(\.|$)/.exec(version ?? "");
  return match === null ? undefined : Number(match[1]);
}
