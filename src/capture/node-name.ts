import { Failure } from "../errors.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { isDnsSubdomain } from "../model/names.ts";
import { isPod } from "./select.ts";

/**
 * Decides of which node these objects are.
 *
 * Pure. `given` wins; else the node on which all pods run; else the only Node; else the hostname,
 * which the kubelet too takes in lower case.
 *
 * @throws {Failure} E_NODE only when pods run on several nodes, or there are several Nodes and none is this
 *   machine; E_NAME only when the name is not one of a node
 * Source: kubernetes v1.37.2 `pkg/util/node/node.go: GetHostname`.
 */
export function nodeNameOf(
  objects: readonly KubernetesObject[],
  given: string | undefined,
  hostname: string,
): string {
  const name = given ?? guess(objects, hostname.trim().toLowerCase());
  if (!isDnsSubdomain(name)) {
    throw new Failure("E_NAME", {
      what: "this is not the name of a node",
      where: given === undefined ? "hostname" : "--node",
      found: JSON.stringify(name).slice(0, 80),
      next: "Pass --node NAME as `kubectl get nodes` shows it",
    });
  }
  return name;
}

function guess(objects: readonly KubernetesObject[], hostname: string): string {
  const running = objects.filter(isPod).map(({ spec }) => spec.nodeName ?? "");
  const ofPods = [...new Set(running.filter((name) => name !== ""))].sort();
  if (ofPods.length > 1) {
    throw severalNodes("the pods run on several nodes", ofPods);
  }
  const nodes = objects.filter(({ kind }) => kind === "Node").map(({ metadata }) => metadata.name);
  const [only, ...others] = ofPods.length === 1 ? ofPods : nodes;
  if (others.length > 0 && !nodes.includes(hostname)) {
    throw severalNodes("there are several Nodes and none has this machine's name", nodes);
  }
  return others.length > 0 || only === undefined ? hostname : only;
}

function severalNodes(what: string, names: readonly string[]): Failure {
  const shown = names.slice(0, 10).join(", ");
  const more = names.length > 10 ? ` and ${names.length - 10} more` : "";
  return new Failure("E_NODE", { what, found: shown + more, next: "Pass --node NAME" });
}
