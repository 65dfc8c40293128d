import type { PullSettings } from "../model/pull-record.ts";

const policies = [
  "NeverVerify",
  "NeverVerifyPreloadedImages",
  "NeverVerifyAllowlistedImages",
  "AlwaysVerify",
] as const;

/** Whom a kubelet asks for the credentials that an image was pulled with. */
export interface PullCheck {
  /** "off" where KubeletEnsureSecretPulledImages is. */
  readonly policy: (typeof policies)[number] | "off";
  /** Repositories, or prefixes that end in a star after a slash. */
  readonly allowlist: readonly string[];
  /** How a record names a repository: as the pod does, or in full as before 1.36. */
  readonly spelling: "as-written" | "in-full";
}

/**
 * What a kubelet of this version does with these settings.
 *
 * Pure. A version that nobody knows counts as a current one. A policy that there is none of stops the kubelet, which
 * is told elsewhere; here it counts as the default.
 *
 * @param version  `v1.37.2`
 * Source: Kubernetes v1.37.2 `pkg/features/kube_features.go: KubeletEnsureSecretPulledImages`,
 * `pkg/kubelet/apis/config/v1beta1/defaults.go`; v1.35.4 `pkg/kubelet/images/pullmanager/image_pull_manager.go`.
 */
export function pullCheckOf(settings: PullSettings, version: string | undefined): PullCheck {
  const minor = minorOf(version);
  const policy = policies.find((one) => one === settings.policy) ?? "NeverVerifyPreloadedImages";
  return {
    policy: isOn(settings.featureGates, minor) ? policy : "off",
    allowlist: settings.allowlist,
    spelling: minor < 36 ? "in-full" : "as-written",
  };
}

function isOn(gates: ReadonlyMap<string, boolean>, minor: number): boolean {
  if (minor < 33) {
    return false;
  }
  const isBeta = minor >= 35;
  return (
    gates.get("KubeletEnsureSecretPulledImages") ??
    gates.get(isBeta ? "AllBeta" : "AllAlpha") ??
    isBeta
  );
}

function minorOf(version: string | undefined): number {
  const digits = /^v?1\.(\d+)/.exec(version ?? "")?.[1];
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits);
}
