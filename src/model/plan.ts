/** One thing of a volume's tree, in creation order: a parent always precedes what lies in it. */
export type VolumeEntry =
  | {
      readonly kind: "directory";
      /** Relative to the volume's directory, POSIX; "." is that directory itself and comes first. */
      readonly path: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      /** Secret material: never printed, logged or compared in an error. */
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: "link";
      readonly path: string;
      readonly target: string;
      readonly uid: number;
      readonly gid: number;
    };

/** The tree that takes the place of one secret, configMap, projected or downwardAPI volume. */
export interface VolumePlan {
  /** The volume's name in the pod. */
  readonly name: string;
  /** Absolute on the node, without `--root`: the hostPath that the manifest names. */
  readonly dir: string;
  /** First the root directory ".", then mount points, the timestamped directory, files, links. */
  readonly entries: readonly VolumeEntry[];
}

/** One static pod manifest. */
export interface ManifestPlan {
  /** Absolute on the node, without `--root`, under `/run/blackstart/manifests`. */
  readonly file: string;
  /** Name of the symlink in the kubelet's manifest directory; no leading dot. */
  readonly linkName: string;
  /** The whole JSON file. Secret material when `carriesSecret`. */
  readonly text: string;
  /** True when an env value comes from a Secret: the manifest then carries `resourceVersion: "1"`. */
  readonly carriesSecret: boolean;
}

/** An image that a pod's copy runs. */
export interface PlannedImage {
  /** `containers/NAME`, `initContainers/NAME` or `volumes/NAME`. */
  readonly place: string;
  /** As in the parent's spec. */
  readonly name: string;
  /** What the manifest names: the digest that ran, where the checkpoint has it, else the name. */
  readonly reference: string;
  /** The runtime's, `sha256:…`, where the checkpoint has it. */
  readonly id: string | undefined;
}

/** Everything that makes one pod run: the volumes, then the manifest. */
export interface PodPlan {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
  readonly images: readonly PlannedImage[];
  readonly volumes: readonly VolumePlan[];
  readonly manifest: ManifestPlan;
}

/** A pod that is left out, with the failure code and a message that holds no secret value. */
export interface Skip {
  readonly namespace: string;
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

/** Something the reader should know that stops nothing. */
export interface Warning {
  readonly code: WarningCode;
  readonly namespace?: string;
  readonly name?: string;
  readonly message: string;
}

/** Every warning there is. Codes never change. */
export type WarningCode =
  | "W_TOKEN_MISSING"
  | "W_TOKEN_EXPIRED"
  | "W_ENV_NAME"
  | "W_KUBELET"
  | "W_RUNTIME_CLASS"
  | "W_DEVICE_DROPPED"
  | "W_HUGEPAGES"
  | "W_HOSTPORT_DROPPED"
  | "W_HOSTNAME"
  | "W_DNS"
  | "W_MOUNT_OPTIONS"
  | "W_FIELD_DROPPED"
  | "W_DOWNWARD"
  | "W_CLOCK"
  | "W_EXPIRED"
  | "W_OWNER"
  | "W_SELINUX"
  | "W_NOSWAP"
  | "W_STORE"
  | "W_NAME"
  | "W_HWM"
  | "W_ATTEMPTS"
  | "W_RETENTION"
  | "W_PROTECTION"
  | "W_KEY"
  | "W_FOREIGN"
  | "W_LEFTOVER"
  | "W_UNPROJECTABLE"
  | "W_PROBE"
  | "W_RUNTIME"
  | "W_IMAGE_MISSING"
  | "W_IMAGE_CREDENTIALS"
  | "W_IMAGE_PIN"
  | "W_IMAGE_ARCHIVE"
  | "W_PULL_RECORDS"
  | "W_CONFIG"
  | "I_STATIC"
  | "I_STALE_LOCK"
  | "I_DEFAULTS";

/** What restore or render will write, and what it leaves out. */
export interface RestorePlan {
  readonly node: string;
  /** undefined when the plan comes from objects on disk and not from a generation. */
  readonly generation: number | undefined;
  readonly pods: readonly PodPlan[];
  readonly skipped: readonly Skip[];
  readonly warnings: readonly Warning[];
}
