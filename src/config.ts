import { posix } from "node:path";

/** Which pods of the node are captured. */
export type Selection =
  | { readonly kind: "annotated" }
  | { readonly kind: "all" }
  | {
      readonly kind: "selector";
      readonly namespaces: readonly string[];
      readonly labelSelector: string | undefined;
      readonly priorityClassNames: readonly string[];
    };

/** The configuration after defaults, frozen. Paths are absolute on the node, without `root`. */
export interface Config {
  /** Prefix for every path: "/" on a node. */
  readonly root: string;
  readonly select: Selection;
  /** Absolute path, or "auto": the running kubelet's, else /etc/kubernetes/kubelet.conf. */
  readonly kubeconfig: string;
  /** Absolute path, or "auto": the kubelet configuration's, else /etc/kubernetes/manifests. */
  readonly staticPodPath: string;
  /** Files of break-glass public keys (JWK or JWK Set). */
  readonly recipients: readonly string[];
  readonly probe: {
    readonly deadlineMs: number;
    readonly networkMs: number;
    /** `https://host:port`, asked besides those that are found. */
    readonly endpoints: readonly string[];
  };
  readonly capture: {
    /** Least time between two generations of `capture --watch`. */
    readonly intervalMs: number;
  };
  readonly retention: { readonly generations: number };
  readonly settleMs: number;
  readonly secretEnv: "inline" | "refuse";
  readonly swap: "refuse" | "allow";
  readonly images: {
    readonly pin: boolean;
    readonly pullRecords: "set-aside" | "keep";
    /** "off", or an absolute path. */
    readonly archive: string;
  };
}

/** The configuration of a node without a configuration file. */
export const defaultConfig: Config = Object.freeze({
  root: "/",
  select: { kind: "annotated" },
  kubeconfig: "auto",
  staticPodPath: "auto",
  recipients: [],
  probe: { deadlineMs: 5_000, networkMs: 30_000, endpoints: [] },
  capture: { intervalMs: 60_000 },
  retention: { generations: 3 },
  settleMs: 600_000,
  secretEnv: "inline",
  swap: "refuse",
  images: { pin: true, pullRecords: "set-aside", archive: "off" },
} as const);

/** Where everything lies, absolute on the node, without `root`. */
export const paths = Object.freeze({
  config: "/etc/blackstart/config.yaml",
  keys: "/etc/blackstart/keys",
  store: "/var/lib/blackstart",
  /** The kubelet's pull records that are set aside. */
  pullRecords: "/var/lib/blackstart/pull-records",
  run: "/run/blackstart",
  /** Volume trees: `<namespace>_<pod>/<volume>`. */
  pods: "/run/blackstart/pods",
  manifests: "/run/blackstart/manifests",
  /** The unwrapped key, as blackstart-key.service publishes it. */
  key: "/run/blackstart/key",
  staticPods: "/etc/kubernetes/manifests",
  kubeletKubeconfig: "/etc/kubernetes/kubelet.conf",
  kubeletConfig: "/var/lib/kubelet/config.yaml",
} as const);

/** Pure. The place of an absolute path of the node under `root`. */
export function under(root: string, path: string): string {
  return root === "/" ? path : posix.join(root, path);
}
