import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { demand, type Json } from "../api.ts";
import type { KubeletMinor } from "../binaries.ts";
import { type ControlPlane, startControlPlane } from "../control-plane.ts";
import { startControllers } from "../controllers.ts";
import type { ApiPod } from "./cluster.ts";
import { edgeObjects, otherNode } from "./edge-workloads.ts";
import { kubeconfigFile } from "./kubelet.ts";
import { makeNode, type Node } from "./node.ts";
import { makeUplink, type Uplink } from "./uplink.ts";

/** A node without a control plane of its own, which is outside the node, and the network between. */
export interface Edge extends AsyncDisposable {
  readonly node: Node;
  readonly control: ControlPlane;
  readonly uplink: Uplink;
  /** Creates `edgeObjects` and `otherNode`. */
  readonly createObjects: () => Promise<void>;
  /** Every pod of the node as the API has it, mirrors too. */
  readonly pods: () => Promise<readonly ApiPod[]>;
  /** What the kubelet of the other node would say, that it is well; otherwise it is missed too after 20 s. */
  readonly renewOther: () => Promise<void>;
  /** The status of its condition Ready; undefined before it has registered. */
  readonly readiness: () => Promise<string | undefined>;
}

/** What its kubelet needs to be missed soon: a lease of 12 s is renewed every 3 s. */
export const missedSoon = { nodeLeaseDurationSeconds: 12, nodeStatusUpdateFrequency: "4s" };
const missedAfter = "--node-monitor-grace-period=20s";

/**
 * Makes both; the node is off, and knows its control plane by a name in /etc/hosts.
 *
 * @param kubelet  as in `NodeSettings`
 */
export async function makeEdge(config: string, kubelet?: KubeletMinor): Promise<Edge> {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-edge-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const control = await startControlPlane({ dir });
  const controllers = await startControllers(dir, control, [
    missedAfter,
    "--node-monitor-period=1s",
  ]);
  const named = { name: "edge1", address: "192.0.2.3" };
  const node = await makeNode(kubelet === undefined ? named : { ...named, kubelet });
  const uplink = await makeUplink(node, dir, Number(new URL(control.url).port));
  const { address, port } = uplink;

  const hosts = join(node.disk, "etc/hosts");
  writeFileSync(hosts, `${readFileSync(hosts, "utf8")}${address} kubernetes\n`);
  writeFileSync(join(node.disk, "etc/blackstart/config.yaml"), config);
  const kubeconfig = join(node.disk, kubeconfigFile);
  mkdirSync(dirname(kubeconfig), { recursive: true });
  const server = `https://kubernetes:${port}`;
  copyFileSync(control.nodeKubeconfig(node.name, { server }), kubeconfig);

  const { api } = control;
  const items = async (path: string) => (await demand(api, "GET", path)).body["items"];
  return {
    node,
    control,
    uplink,
    createObjects: async () => {
      // Controllers change a node as soon as it is there.
      await demand(api, "POST", "/api/v1/nodes", otherNode);
      await control.apply(edgeObjects(node.name));
    },
    pods: async () =>
      (await items(`/api/v1/pods?fieldSelector=spec.nodeName%3D${node.name}`)) as readonly ApiPod[],
    renewOther: async () => {
      const time = new Date().toISOString().replace(/\.\d+Z/, "Z");
      const ready = { type: "Ready", status: "True", reason: "Test", lastHeartbeatTime: time };
      const path = `/api/v1/nodes/${otherNode.metadata.name}/status`;
      await demand(api, "PATCH", path, { status: { conditions: [ready] } });
    },
    readiness: async () => {
      const { body } = await demand(api, "GET", `/api/v1/nodes/${node.name}`, undefined, [404]);
      const { conditions = [] } = (body["status"] ?? {}) as {
        readonly conditions?: readonly Json[];
      };
      return conditions.find(({ type }) => type === "Ready")?.["status"] as string | undefined;
    },
    [Symbol.asyncDispose]: async () => {
      await node.dispose();
      await uplink.close();
      await controllers.stop();
      await control.dispose();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
