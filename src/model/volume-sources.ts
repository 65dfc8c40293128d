import type { FieldSelector, ObjectReference, ResourceFieldSelector } from "./kubernetes.ts";

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
