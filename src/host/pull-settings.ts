import { readdirSync } from "node:fs";
import { posix } from "node:path";
import { paths, under } from "../config.ts";
import type { PullSettings } from "../model/pull-record.ts";
import { parseKubeletConfig } from "./kubelet.ts";
import { readSettings } from "./settings-file.ts";

const mentions =
  /imagePullCredentialsVerificationPolicy|preloadedImagesVerificationAllowlist|KubeletEnsureSecretPulledImages|AllBeta|AllAlpha/;

/**
 * What the kubelet's configuration file, its drop-ins and its flags say of images that are there; later ones win.
 *
 * `yaml` is loaded only where a file mentions any of it. Never rejects: what cannot be read says nothing, and is told
 * where more of the file is needed.
 *
 * @param flags  of the running kubelet
 * Source: Kubernetes v1.37.2 `cmd/kubelet/app/server.go: mergeKubeletConfigurations`.
 */
export async function readPullSettings(
  root: string,
  flags: ReadonlyMap<string, string>,
): Promise<PullSettings> {
  const file = posix.resolve("/", flags.get("config") ?? paths.kubeletConfig);
  const dropIns = flags.get("config-dir");
  const files = [
    under(root, file),
    ...(dropIns === undefined ? [] : confFiles(under(root, posix.resolve("/", dropIns)))),
  ];
  let policy: string | undefined;
  let allowlist: readonly string[] = [];
  const featureGates = new Map<string, boolean>();
  for (const one of files) {
    const found = readSettings(one);
    const isOfUse = found.kind === "text" && mentions.test(found.text);
    const document = isOfUse ? await parseKubeletConfig(found.text) : undefined;
    const field = (name: string): unknown =>
      document === undefined ? undefined : Reflect.get(document, name);
    const said = field("imagePullCredentialsVerificationPolicy");
    policy = typeof said === "string" && said !== "" ? said : policy;
    const list = field("preloadedImagesVerificationAllowlist");
    allowlist = Array.isArray(list) ? list.filter((item) => typeof item === "string") : allowlist;
    const gates = field("featureGates");
    for (const [name, value] of Object.entries(typeof gates === "object" ? (gates ?? {}) : {})) {
      featureGates.set(name, value === true);
    }
  }
  for (const [, name = "", value] of (flags.get("feature-gates") ?? "").matchAll(
    /(\w+)\s*=\s*(\w+)/g,
  )) {
    featureGates.set(name, /^(1|t|true)$/i.test(value ?? ""));
  }
  return { policy, allowlist, featureGates };
}

function confFiles(dir: string): readonly string[] {
  try {
    return readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".conf"))
      .sort()
      .map((name) => posix.join(dir, name));
  } catch {
    return [];
  }
}
