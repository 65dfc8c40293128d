import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyTree } from "./copy-tree.ts";
import type { Node } from "./node.ts";

interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string; readonly type?: string };
}

interface Pod {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly volumes?: readonly Volume[] };
}

const manifestDir = "etc/kubernetes/manifests";
/** On disk, where a person who knows no better puts keys. */
const keyDir = "/etc/kubernetes/by-hand";

/**
 * Writes the static pods that a person would have written for what is projected on the node now: plain files without
 * our annotations, and Secrets, ConfigMaps and tokens as files on the disk. Containers get the same environment:
 * a scheduler that is not told of the Service `kubernetes` ends when it finds no API server, and starts anew 10 s later.
 *
 * @param dir  inside, made here; takes the manifests
 */
export function writeByHand(node: Node, dir: string): void {
  mkdirSync(join(node.disk, dir), { recursive: true });
  for (const file of readdirSync(join(node.disk, manifestDir))) {
    const target = node.path(readlinkSync(join(node.disk, manifestDir, file)));
    const pod = JSON.parse(readFileSync(target, "utf8")) as Pod;
    const volumes = (pod.spec.volumes ?? []).map((volume) => onDisk(node, pod, volume));
    const { name, namespace } = pod.metadata;
    const written: Pod = {
      apiVersion: pod.apiVersion,
      kind: pod.kind,
      metadata: { name, namespace },
      spec: { ...pod.spec, volumes },
    };
    writeFileSync(join(node.disk, dir, file), JSON.stringify(written), { mode: 0o600 });
  }
}

/** Copies what our memory holds for a volume; the kubelet's own way of links is not a person's. */
function onDisk(node: Node, { metadata }: Pod, volume: Volume): Volume {
  const { name, hostPath } = volume;
  if (hostPath === undefined || !hostPath.path.startsWith("/run/blackstart/")) {
    return volume;
  }
  const path = join(keyDir, metadata.name, name);
  const data = node.path(hostPath.path);
  mkdirSync(join(node.disk, path, ".."), { recursive: true });
  copyTree(join(data, readlinkSync(join(data, "..data"))), join(node.disk, path));
  return { name, hostPath: { path, type: "Directory" } };
}
