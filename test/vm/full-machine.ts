import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildBinary } from "../e2e/binaries.ts";
import { findLoopbackPort } from "../e2e/loopback-port.ts";
import { type Cluster, makeCluster } from "../e2e/node/cluster.ts";
import { containerdSocket } from "../e2e/node/containerd.ts";
import { kubeconfigFile, kubeletConfigFile, kubeletReadOnlyPort } from "../e2e/node/kubelet.ts";
import { insidePath } from "../e2e/node/machine.ts";
import { type KubeletPod, makeNode, type Node } from "../e2e/node/node.ts";
import { impatient } from "../e2e/node/settled-node.ts";
import type { Steps } from "../e2e/node/steps.ts";
import { adoptFolders, inTree, makeBootFiles, makeImage, writeTexts } from "./disk-image.ts";
import { demandRun } from "./run.ts";
import { bootVm, type Vm } from "./vm.ts";

/** A machine with containerd, kubelet and the self-hosted cluster's images, born with a checkpoint. */
export interface FullMachine {
  readonly cluster: Cluster;
  /** Absolute: the raw disk. */
  readonly image: string;
  readonly boot: () => Promise<Vm>;
  /** What its kubelet says it runs; fails while no kubelet answers. */
  readonly kubeletPods: () => Promise<readonly KubeletPod[]>;
}

const apiserverPort = 6443;
/** The API server itself listens on the loopback only, where QEMU reaches nobody. */
const proxyPort = 16_443;

/** What a node that was made outside has on its disk and a machine takes over. */
const adopted = [
  ...["etc/kubernetes", "etc/cni", "etc/containerd", "etc/blackstart", "opt/cni"],
  ...["var/lib/containerd", "var/lib/blackstart"],
];

const kubelet = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  staticPodPath: "/etc/kubernetes/manifests",
  containerRuntimeEndpoint: `unix://${containerdSocket}`,
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: "AlwaysAllow" },
  readOnlyPort: kubeletReadOnlyPort,
  clusterDNS: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  resolvConf: "/etc/resolv.conf",
  cgroupDriver: "cgroupfs",
  evictionHard: { "memory.available": "1Mi", "nodefs.available": "1Mi" },
  ...impatient,
};

/** As the package of Kubernetes has it; no word of blackstart. Source: kubernetes/release v0.18.0 `cmd/krel/templates/latest/kubelet/kubelet.service`. */
const kubeletUnit = `[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet --config=${kubeletConfigFile} --kubeconfig=${kubeconfigFile} --node-ip=192.0.2.2
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`;

const containerdUnit = (program: string) => `[Unit]
Description=containerd container runtime
After=network.target local-fs.target

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=${program} --config=/etc/containerd/config.toml
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`;

const proxyUnits = {
  "etc/systemd/system/apiserver-proxy.socket": `[Socket]
ListenStream=${proxyPort}

[Install]
WantedBy=sockets.target
`,
  "etc/systemd/system/apiserver-proxy.service": `[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:${apiserverPort}
`,
};

/** Makes one; the images are imported and the checkpoint is made on a node of namespaces, which is quicker. */
export async function makeFullMachine(dir: string, { step }: Steps): Promise<FullMachine> {
  const [outside, pods] = [await findLoopbackPort(), await findLoopbackPort()];
  await using node = await step("make a node", () => makeNode());
  const apiserverUrl = `https://127.0.0.1:${outside}`;
  const cluster = makeCluster({ ...node, apiserverUrl });
  await step("capture --from, and import the images", () => beBorn(node, cluster));
  const files = await step("make the root directory", () => makeBootFiles(dir));
  const { kernel, initramfs, tree } = files;
  adoptFolders(tree, node.disk, adopted);
  writeTexts(tree, { "etc/resolv.conf": "nameserver 127.0.0.1\n" });
  installDaemons(tree);
  const image = join(dir, "disk.img");
  await step("make the image", () => makeImage(image, tree, 2048));
  await node.dispose();
  const ports = [
    { outside, inside: proxyPort },
    { outside: pods, inside: kubeletReadOnlyPort },
  ];
  return {
    cluster,
    image,
    boot: () =>
      bootVm({ dir, kernel, initramfs, disks: [{ file: image }], memoryMiB: 3072, ports }),
    kubeletPods: async () => {
      const answer = await fetch(`http://127.0.0.1:${pods}/pods`, {
        signal: AbortSignal.timeout(20_000),
      });
      const { items } = (await answer.json()) as { readonly items: readonly KubeletPod[] | null };
      return items ?? [];
    },
  };
}

async function beBorn(node: Node, cluster: Cluster): Promise<void> {
  await node.boot();
  const objects = cluster.writeObjects("born", cluster.objects("certificate"));
  for (const words of [
    ["key", "init", "--slot", "plain"],
    ["capture", "--from", objects],
  ]) {
    const { status, stdout, stderr } = node.blackstart(words);
    if (status !== 0) {
      throw new Error(`blackstart ${words.join(" ")}: ${stdout}${stderr}`);
    }
  }
  const containerd = await node.startContainerd();
  await containerd.stop("SIGTERM");
  await node.powerCut();
}

function installDaemons(tree: string): void {
  const program = (name: "kubelet" | "containerd" | "containerd-shim-runc-v2" | "ctr") => {
    const from = buildBinary(name);
    const to = name === "kubelet" ? "/usr/bin/kubelet" : insidePath(from);
    demandRun("install", ["-D", "-m", "755", from, join(tree, to)]);
    return to;
  };
  const containerd = program("containerd");
  program("containerd-shim-runc-v2");
  program("ctr");
  program("kubelet");
  writeTexts(tree, {
    "etc/systemd/system/containerd.service": containerdUnit(containerd),
    "etc/systemd/system/kubelet.service": kubeletUnit,
    [kubeletConfigFile]: JSON.stringify(kubelet),
    ...proxyUnits,
  });
  const units = ["containerd", "kubelet", "systemd-networkd", "apiserver-proxy.socket"];
  inTree(tree, "systemctl", "enable", ...units);
  inTree(
    tree,
    ...["systemctl", "preset", "blackstart-restore.service", "blackstart-settle.timer"],
    "blackstart-capture.service",
  );
}

/** The second line of every private key in the cluster's Secrets, as it is and as the API would write it. */
export function keyMarks(cluster: Cluster): readonly string[] {
  const marks = cluster.objects("certificate").flatMap(({ kind, ...object }) => {
    const data = kind === "Secret" ? object["data"] : undefined;
    if (typeof data !== "object" || data === null) {
      return [];
    }
    return Object.values(data).flatMap((value) => {
      const text = Buffer.from(`${value}`, "base64").toString("latin1");
      const line = text.match(/PRIVATE KEY-----\n([^\n]{32,})\n/)?.[1];
      // From the key's middle on, whatever its alignment in the base64 of the whole.
      return line === undefined ? [] : [line, `${value}`.slice(80, 140)];
    });
  });
  return [...new Set(marks)];
}

/** Which of the texts the file's bytes hold, with their offsets. */
export function marksIn(
  file: string,
  marks: readonly string[],
  patterns: string,
): readonly string[] {
  writeFileSync(patterns, `${marks.join("\n")}\n`, { mode: 0o600 });
  // -m is not given: every hit counts. Status 1 is none.
  const script = 'grep -aobF -f "$1" "$0" || test $? = 1';
  return demandRun("sh", ["-c", script, file, patterns])
    .split("\n")
    .filter((line) => line !== "");
}
