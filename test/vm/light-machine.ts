import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type BootFiles, inTree, makeBootFiles, makeImage, writeTexts } from "./disk-image.ts";
import { bootVm, type Vm } from "./vm.ts";

/** A machine without containers, which boots in seconds: its root is as new at each boot, its store lasts. */
export interface LightMachine {
  /** Returns once the guest takes commands and its own restore has ended. */
  readonly boot: (rtcBase?: string) => Promise<Vm>;
}

const kubeletUnit = `[Unit]
Description=Stand-in kubelet
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
`;

/** Captures one set of objects, restores, captures the other, for ever; tells what is acknowledged. */
const loop = `#!/bin/bash
exec > /dev/ttyS1
while :; do
  for set in a b; do
    if said=$(blackstart capture --from /root/$set --node node1 2>&1); then
      echo "acknowledged $(sed -n 's/.*generation \\([0-9]*\\).*/\\1/p' <<< "$said" | head -n 1)"
    else
      echo "failed capture: $(tr '\\n' ' ' <<< "$said")"
    fi
    said=$(blackstart restore --force 2>&1) && echo restored || echo "failed restore: $(tr '\\n' ' ' <<< "$said")"
  done
done
`;

const objectsFile = join(import.meta.dirname, "../root/nspawn/objects.json");

/** Bytes of a Secret in each set, so that a commit takes its time. */
const ballastBytes = 300_000;

/** Makes one whose store holds generation 1. @param dir  absolute, exists */
export async function makeLightMachine(dir: string): Promise<LightMachine> {
  const files = await makeBootFiles(dir);
  const { tree } = files;
  const objects = readFileSync(objectsFile, "utf8");
  writeTexts(tree, {
    "etc/systemd/system/kubelet.service": kubeletUnit,
    "usr/local/bin/loop": loop,
    "root/a/objects.json": objects,
    "root/b/objects.json": objects,
    ...Object.fromEntries(["a", "b"].map((set) => [`root/${set}/ballast.json`, ballast(set)])),
    "etc/blackstart/config.yaml": "retention: {generations: 4}\n",
  });
  inTree(tree, "systemctl", "enable", "kubelet.service");
  inTree(tree, "systemctl", "preset", "blackstart-restore.service");
  inTree(tree, "blackstart", "key", "init", "--slot", "plain");
  inTree(tree, "blackstart", "capture", "--from", "/root/a", "--node", "node1");
  const store = join(dir, "store.img");
  makeImage(store, join(tree, "var/lib/blackstart"), 128);
  rmSync(join(tree, "var/lib/blackstart"), { recursive: true });
  writeTexts(tree, {
    "var/lib/blackstart/.keep": "",
    "etc/fstab": "/dev/vdb /var/lib/blackstart ext4 defaults 0 0\n",
  });
  const root = join(dir, "root.img");
  makeImage(root, tree, 256);
  return { boot: (rtcBase) => bootLight(dir, files, root, store, rtcBase) };
}

async function bootLight(
  dir: string,
  { kernel, initramfs }: BootFiles,
  root: string,
  store: string,
  rtcBase: string | undefined,
): Promise<Vm> {
  const vm = await bootVm({
    dir,
    kernel,
    initramfs,
    disks: [{ file: root, isForgetful: true }, { file: store }],
    memoryMiB: 1024,
    ...(rtcBase === undefined ? {} : { rtcBase }),
  });
  try {
    await vm.waitUntilUp();
    // Joins the job that there is: the stand-in kubelet waits for restore.
    await vm.demand("systemctl start kubelet.service; journalctl --sync");
    return vm;
  } catch (error) {
    await vm.kill();
    throw error;
  }
}

function ballast(set: string): string {
  const data = { bytes: Buffer.alloc(ballastBytes, set).toString("base64") };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "ballast",
      namespace: "kube-system",
      uid: "0b6a3f0e-52c4-4c1b-9a51-6a1f6f5d0009",
      annotations: { "blackstart.dev/checkpoint": "true", set },
    },
    spec: {
      nodeName: "node1",
      automountServiceAccountToken: false,
      containers: [
        { name: "c", image: "i", volumeMounts: [{ name: "ballast", mountPath: "/ballast" }] },
      ],
      volumes: [{ name: "ballast", secret: { secretName: "ballast" } }],
    },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  };
  const metadata = { name: "ballast", namespace: "kube-system" };
  const secret = { apiVersion: "v1", kind: "Secret", metadata, data };
  return JSON.stringify({ apiVersion: "v1", kind: "List", items: [pod, secret] });
}
