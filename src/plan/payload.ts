import { Failure } from "../errors.ts";
import type { ServiceAccountToken, UnmintedToken } from "../model/checkpoint.ts";
import type { ObjectReference } from "../model/kubernetes.ts";
import type {
  ConfigMapVolume,
  DownwardVolume,
  FileDefaults,
  KeyToPath,
  ProjectedVolume,
  SecretVolume,
  TokenSource,
  Volume,
} from "../model/volume-sources.ts";
import { fieldValue, resourceValue } from "./downward.ts";
import { checkKey, checkPath } from "./file-path.ts";
import { tokenUser } from "./ownership.ts";
import { type PodContext, podName, warn } from "./pod-context.ts";
import { findConfigMap, findSecret, missingKey } from "./referenced.ts";

/** One file of a volume, before the pod's fsGroup is applied. */
export interface PayloadFile {
  readonly bytes: Uint8Array;
  readonly mode: number;
  /** Owner's uid when the volume names one; root otherwise. */
  readonly user: number | undefined;
}

/** Files by path relative to the volume; paths are clean, none is a directory of another. */
export type Payload = ReadonlyMap<string, PayloadFile>;

/** What a volume that does not say gets. Source: v1.37.2 `apis/core/v1/defaults.go`. */
const defaultFileMode = 0o644;

/**
 * The files of a secret, configMap, downwardAPI or projected volume.
 *
 * Pure. Source: v1.37.2 `MakePayload()` of `volume/secret` and `volume/configmap`,
 * `volume/downwardapi: CollectData()`, `volume/projected: collectData()`.
 *
 * @throws {Failure} E_REF_MISSING only when a required object or key is not in the checkpoint,
 *   E_PATH_KEY, E_PATH_ITEM, E_PATH_CONFLICT only when a path cannot be a file of a volume,
 *   E_UNSUPPORTED_VOLUME only when a source's bytes exist nowhere but in the kubelet
 */
export function planPayload(context: PodContext, volume: Volume): Payload {
  const files = new Map<string, PayloadFile>();
  const place = `volume ${volume.name}`;
  if (volume.secret != null) {
    addSecret(context, files, asReference(volume.secret), volume.secret, `${place}.secret`);
  } else if (volume.configMap != null) {
    addConfigMap(context, files, volume.configMap, volume.configMap, `${place}.configMap`);
  } else if (volume.downwardAPI != null) {
    addDownward(context, files, volume.downwardAPI, volume.downwardAPI, `${place}.downwardAPI`);
  } else if (volume.projected != null) {
    addSources(context, files, volume.projected, place);
  }
  checkConflicts(context, files, place);
  return files;
}

type Files = Map<string, PayloadFile>;
interface Keyed extends ObjectReference {
  readonly items?: readonly KeyToPath[] | null;
}

function asReference({ secretName, ...rest }: SecretVolume): Keyed {
  return { ...rest, name: secretName ?? "" };
}

function addSources(
  context: PodContext,
  files: Files,
  projected: ProjectedVolume,
  volume: string,
): void {
  for (const [at, source] of (projected.sources ?? []).entries()) {
    const place = `${volume}.projected.sources[${at}]`;
    if (source.secret != null) {
      addSecret(context, files, source.secret, projected, `${place}.secret`);
    } else if (source.configMap != null) {
      addConfigMap(context, files, source.configMap, projected, `${place}.configMap`);
    } else if (source.downwardAPI != null) {
      addDownward(context, files, source.downwardAPI, projected, `${place}.downwardAPI`);
    } else if (source.serviceAccountToken != null) {
      addToken(context, files, source.serviceAccountToken, projected, place);
    } else {
      const [name = "empty"] = Object.keys(source);
      throw new Failure("E_UNSUPPORTED_VOLUME", {
        what: `${podName(context)} has a projected source that cannot be projected`,
        where: `${place}.${name.slice(0, 40)}`,
        found: reasons[name] ?? "a kind of source that this version does not know",
        next: "Keep the pod out of the checkpoint, or give it the file in another way",
      });
    }
  }
}

const reasons: Readonly<Record<string, string>> = {
  clusterTrustBundle: "the bundle's bytes exist only in the kubelet's own volume",
  podCertificate: "the certificate's private key exists only in the kubelet's own volume",
};

function addSecret(
  context: PodContext,
  files: Files,
  source: Keyed,
  defaults: FileDefaults,
  place: string,
): void {
  const secret = findSecret(context, source, place);
  const data =
    secret === undefined ? new Map<string, Uint8Array>() : context.index.secretData(secret);
  addKeys(context, files, "Secret", data, source, defaults, place);
}

function addConfigMap(
  context: PodContext,
  files: Files,
  source: ConfigMapVolume,
  defaults: FileDefaults,
  place: string,
): void {
  const configMap = findConfigMap(context, source, place);
  const data =
    configMap === undefined
      ? new Map<string, Uint8Array>()
      : context.index.configMapData(configMap);
  addKeys(context, files, "ConfigMap", data, source, defaults, place);
}

function addKeys(
  context: PodContext,
  files: Files,
  kind: "Secret" | "ConfigMap",
  data: ReadonlyMap<string, Uint8Array>,
  source: Keyed,
  defaults: FileDefaults,
  place: string,
): void {
  const mode = defaults.defaultMode ?? defaultFileMode;
  const user = defaults.defaultUser ?? undefined;
  const { items } = source;
  if (items == null || items.length === 0) {
    for (const [key, bytes] of data) {
      checkKey(context, kind, source.name ?? "", key);
      files.set(key, { bytes, mode, user });
    }
    return;
  }
  const seen = new Set<string>();
  for (const [at, item] of items.entries()) {
    const path = checkPath(context, item.path, `${place}.items[${at}].path`, seen);
    const bytes = data.get(item.key);
    if (bytes === undefined) {
      missingKey(context, kind, { ...source, key: item.key }, `${place}.items[${at}]`);
    } else {
      files.set(path, { bytes, mode: item.mode ?? mode, user: item.user ?? user });
    }
  }
}

function addDownward(
  context: PodContext,
  files: Files,
  source: DownwardVolume,
  defaults: FileDefaults,
  place: string,
): void {
  const { containers, initContainers } = context.pod.spec;
  const seen = new Set<string>();
  for (const [at, item] of (source.items ?? []).entries()) {
    const path = checkPath(context, item.path, `${place}.items[${at}].path`, seen);
    let text: string | undefined = "";
    if (item.fieldRef != null) {
      text = fieldValue(context, item.fieldRef.fieldPath);
    } else if (item.resourceFieldRef != null) {
      const name = item.resourceFieldRef.containerName;
      const owner = [...containers, ...(initContainers ?? [])].find((one) => one.name === name);
      text = owner === undefined ? undefined : resourceValue(context, owner, item.resourceFieldRef);
    }
    if (text === undefined) {
      warn(
        context,
        "W_DOWNWARD",
        `${place}.items[${at}]: file ${path} is left out: the checkpoint does not tell what the parent's value was`,
      );
      continue;
    }
    files.set(path, {
      bytes: Buffer.from(text, "utf8"),
      mode: item.mode ?? defaults.defaultMode ?? defaultFileMode,
      user: item.user ?? defaults.defaultUser ?? undefined,
    });
  }
}

function addToken(
  context: PodContext,
  files: Files,
  source: TokenSource,
  defaults: FileDefaults,
  place: string,
): void {
  const path = checkPath(context, source.path, `${place}.serviceAccountToken.path`, new Set());
  const audience = source.audience ?? "";
  const { name } = context.pod.metadata;
  const isWanted = (token: UnmintedToken | ServiceAccountToken) =>
    token.namespace === context.namespace && token.pod === name && token.audience === audience;
  const found = context.index.tokens.find(isWanted);
  if (found === undefined) {
    const reason = context.index.unminted.find(isWanted)?.message;
    warn(
      context,
      "W_TOKEN_MISSING",
      `${place}.serviceAccountToken: file ${path} is left out: the checkpoint holds no token of this pod${audience === "" ? "" : ` for audience ${audience}`}${reason === undefined ? "" : `: ${reason}`}`,
    );
    return;
  }
  if (context.now !== undefined && Date.parse(found.expiresAt) <= context.now.getTime()) {
    warn(
      context,
      "W_TOKEN_EXPIRED",
      `${place}.serviceAccountToken: the token in file ${path} expired at ${found.expiresAt}`,
    );
  }
  files.set(path, {
    bytes: Buffer.from(found.token, "utf8"),
    ...tokenUser(
      context,
      defaults.defaultMode ?? defaultFileMode,
      source.user ?? defaults.defaultUser ?? undefined,
    ),
  });
}

/** A file that is also the directory of another can be written by nobody, the kubelet included. */
function checkConflicts(context: PodContext, files: Files, place: string): void {
  for (const path of files.keys()) {
    for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
      if (files.has(path.slice(0, cut))) {
        throw new Failure("E_PATH_CONFLICT", {
          what: `${podName(context)} has a volume in which one file is the directory of another`,
          where: place,
          found: `${JSON.stringify(path.slice(0, cut)).slice(0, 80)} and ${JSON.stringify(path).slice(0, 80)}`,
          next: "Correct the paths of the volume's items",
        });
      }
    }
  }
}
