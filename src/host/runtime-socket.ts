import { statSync } from "node:fs";
import { posix } from "node:path";
import { paths, under } from "../config.ts";
import { findKubelet, parseFlags, parseKubeletConfig } from "./kubelet.ts";
import { readSettings } from "./settings-file.ts";

/** Where the container runtime listens, or why nobody here can ask it. */
export type RuntimeSocket =
  /** Absolute on the node, without `root`. Whether anybody listens there only asking tells. */
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "none"; readonly problem: string };

/** The kubelet's default, then that of the other runtime, for a kubelet whose flags nobody sees. */
const usual = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"];

/**
 * The socket of the runtime that the node's kubelet uses: its flag first, then its configuration file, then the usual
 * places, of which one has to exist.
 *
 * Reads /proc only when `root` is "/". Loads `yaml` only where the kubelet's configuration is YAML and no flag tells.
 * Never rejects. Source: Kubernetes v1.37.2 `cmd/kubelet/app/options/options.go: container-runtime-endpoint`,
 * `pkg/kubelet/apis/config/v1beta1/defaults.go`.
 */
export async function runtimeSocket(root: string): Promise<RuntimeSocket> {
  const flags = parseFlags((root === "/" ? findKubelet() : undefined) ?? []);
  const file = posix.resolve("/", flags.get("config") ?? paths.kubeletConfig);
  const endpoint =
    flags.get("container-runtime-endpoint") ?? (await configuredEndpoint(under(root, file)));
  if (endpoint !== undefined) {
    return parseEndpoint(endpoint);
  }
  const path = usual.find((one) => isSocket(under(root, one)));
  return path === undefined
    ? {
        kind: "none",
        problem: `the kubelet names no runtime, and there is no ${usual.join(", no ")}`,
      }
    : { kind: "socket", path };
}

/**
 * The path that a kubelet's endpoint names.
 *
 * Pure. Source: k8s.io/cri-client v0.35.4 `pkg/util/util_unix.go: parseEndpointWithFallbackProtocol`.
 */
export function parseEndpoint(endpoint: string): RuntimeSocket {
  const path = endpoint.startsWith("unix://") ? endpoint.slice("unix://".length) : endpoint;
  return path.startsWith("/")
    ? { kind: "socket", path: posix.normalize(path) }
    : { kind: "none", problem: `the kubelet's runtime is at ${endpoint}, which is no Unix socket` };
}

/** undefined where the file names none; what is wrong with the file is told by whoever needs more of it. */
async function configuredEndpoint(file: string): Promise<string | undefined> {
  const found = readSettings(file);
  const mentions = found.kind === "text" && found.text.includes("containerRuntimeEndpoint");
  const document = mentions ? await parseKubeletConfig(found.text) : undefined;
  const endpoint: unknown =
    document === undefined ? undefined : Reflect.get(document, "containerRuntimeEndpoint");
  return typeof endpoint === "string" && endpoint !== "" ? endpoint : undefined;
}

function isSocket(file: string): boolean {
  try {
    return statSync(file).isSocket();
  } catch {
    return false; // absent, or in a directory that this process may not enter
  }
}
