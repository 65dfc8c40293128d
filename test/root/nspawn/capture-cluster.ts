import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Checkpoint, parseCheckpoint } from "../../../src/model/checkpoint.ts";
import { parseJson } from "../../../src/model/json.ts";
import { ringOf, StoreKey } from "../../../src/model/store-key.ts";
import { listGenerations, openGeneration } from "../../../src/store/store.ts";
import type { ControlPlane } from "../../e2e/control-plane.ts";
import { until } from "../../e2e/until.ts";
import type { Files } from "./installation.ts";
import type { Machine } from "./machine.ts";

/** Where only the kubelet's command line says that its kubeconfig is. */
export const kubeconfigFile = "/srv/kubelet/kubeconfig";

/** A process like a kubelet's: root's, with every capability, and these words. The machine has another name. */
const kubeletUnit = `[Service]
ExecStart=@/bin/sh kubelet -c 'while :; do sleep 3600; done' kubelet --kubeconfig=${kubeconfigFile} --hostname-override=node1
[Install]
WantedBy=multi-user.target
`;

/** What makes a machine one that captures. Every drop-in is for the test's own speed. */
export const captureFiles: Files = {
  "/etc/hostname": "dark-host\n",
  "/etc/systemd/system/kubelet.service": kubeletUnit,
  "/etc/blackstart/config.yaml": configuration("annotated"),
  "/etc/systemd/system/blackstart-capture.service.d/soon.conf": "[Service]\nRestartSec=1\n",
  "/etc/systemd/system/blackstart-capture.timer.d/soon.conf":
    "[Timer]\nOnBootSec=\nOnActiveSec=1\nOnUnitInactiveSec=2\nRandomizedDelaySec=0\nAccuracySec=10ms\n",
  // Keeps the journal of former boots.
  "/var/log/journal/.keep": "",
};

/** The configuration of a machine that captures these pods; more lines come last. */
export function configuration(select: "annotated" | "all", ...more: readonly string[]): string {
  const lines = [
    `select: ${select}`,
    "capture: {interval: 1s}",
    "retention: {generations: 1000}",
    ...more,
  ];
  return `${lines.join("\n")}\n`;
}

/** Marks that no journal may hold: values of the Secret, as they are and as the API writes them. */
export const secretMarkers = ["marker-tls-key", "marker-token", "marker-rotated"].flatMap(
  (text) => [text, btoa(text)],
);

/** One pod that is captured, one that is not unless all are, and enough bytes that a commit takes its time. */
export function clusterObjects(): readonly object[] {
  const namespace = "kube-system";
  const names = Array.from({ length: 8 }, (_, at) => `ballast-${at}`);
  const volumes = [
    { name: "tls", secret: { secretName: "keeper-tls" } },
    { name: "settings", configMap: { name: "keeper-settings" } },
    ...names.map((name) => ({ name, secret: { secretName: name } })),
  ];
  const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
  return [
    { apiVersion: "v1", kind: "Node", metadata: { name: "node1" } },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "keeper-tls", namespace },
      data: { "tls.key": btoa("marker-tls-key"), token: btoa("marker-token") },
    },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "keeper-settings", namespace },
      data: { value: "0" },
    },
    ...names.map((name) => ({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, namespace },
      data: { bytes: randomBytes(400_000).toString("base64") },
    })),
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "keeper-0",
        namespace,
        annotations: { "blackstart.dev/checkpoint": "true" },
      },
      spec: {
        nodeName: "node1",
        containers: [
          {
            name: "keeper",
            image: "registry.k8s.io/pause:3.10",
            volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}` })),
          },
        ],
        volumes,
      },
      status,
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "worker-0", namespace },
      spec: { nodeName: "node1", containers: [{ name: "worker", image: "i" }] },
      status,
    },
  ];
}

/** The node's credentials as a kubelet keeps them: a kubeconfig that names files, which it rotates. */
export function credentialFiles(cluster: ControlPlane): Files {
  const file = cluster.nodeKubeconfig("node1", { form: "files" });
  const there = dirname(kubeconfigFile);
  const current = join(dirname(file), "kubelet-client-current.pem");
  const text = readFileSync(file, "utf8")
    .replaceAll(cluster.caFile, `${there}/ca.crt`)
    .replaceAll(dirname(file), there);
  return {
    [kubeconfigFile]: text,
    [`${there}/ca.crt`]: readFileSync(cluster.caFile, "utf8"),
    [`${there}/kubelet-client-current.pem`]: readFileSync(realpathSync(current), "utf8"),
  };
}

/** The same credentials from a plugin, and an apiserver that is known by a name. */
export function pluginFiles(cluster: ControlPlane): Files {
  const own = credentialFiles(cluster);
  const there = dirname(kubeconfigFile);
  const pem = own[`${there}/kubelet-client-current.pem`] ?? "";
  const [clientCertificateData, clientKeyData] = pem.split(/(?=-----BEGIN EC PRIVATE KEY)/);
  const credential = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { clientCertificateData, clientKeyData },
  };
  return {
    "/etc/hosts": "127.0.0.1 localhost\n",
    [`${there}/ca.crt`]: own[`${there}/ca.crt`] ?? "",
    [`${there}/credential.json`]: JSON.stringify(credential),
    [`${there}/plugin`]: `#!/bin/sh\nexec cat ${there}/credential.json\n`,
    [kubeconfigFile]: `apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {certificate-authority: ${there}/ca.crt, server: "${cluster.url.replace("127.0.0.1", "localhost")}"}
contexts:
- name: c
  context: {cluster: c, user: u}
current-context: c
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ${there}/plugin
      interactiveMode: Never
`,
  };
}

/** A machine's store as it is on its disk, opened with the node's key by the store's own modules. */
export interface MachineStore {
  /** 0 for none. */
  readonly newest: () => number;
  readonly open: (generation: number) => Checkpoint;
  /** Waits until there is a generation after that one, and gives the newest. */
  readonly after: (generation: number, deadlineMs?: number) => Promise<number>;
  /** Files that a commit has begun and not finished. */
  readonly unfinished: () => readonly string[];
  /** The key's bytes, as they could be printed. */
  readonly keyTexts: () => readonly string[];
}

/** Looks at the store of a machine, which may be running. */
export function storeOf({ upper }: Machine): MachineStore {
  const dir = join(upper, "var/lib/blackstart");
  const readKey = () => {
    const keys = join(upper, "etc/blackstart/keys");
    const [slot = ""] = readdirSync(keys).filter((file) => file.endsWith(".plain"));
    return readFileSync(join(keys, slot));
  };
  const newest = () =>
    existsSync(dir) ? (listGenerations(dir).generations[0]?.generation ?? 0) : 0;
  return {
    newest,
    open: (generation) => {
      const ring = ringOf(StoreKey.parse(readKey(), "the plain slot"));
      const { plaintext } = openGeneration(dir, generation, ring, "node1");
      return parseCheckpoint(parseJson(plaintext.toString("utf8")));
    },
    after: async (generation, deadlineMs = 15_000) => {
      await until(
        () => newest() > generation,
        deadlineMs,
        () => `no generation after ${generation}`,
      );
      return newest();
    },
    unfinished: () => readdirSync(dir).filter((name) => name.startsWith(".tmp-")),
    keyTexts: () => (["base64", "base64url", "hex"] as const).map((as) => readKey().toString(as)),
  };
}

/** What a checkpoint holds of the ConfigMap that the tests change. */
export function settingIn(checkpoint: Checkpoint): string | undefined {
  const found = checkpoint.items.find(
    ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "keeper-settings",
  );
  const values = found?.["data"];
  return typeof values === "object" && values !== null ? Reflect.get(values, "value") : undefined;
}

/** Why there can be no apiserver here; undefined when there can. */
export function reasonForNoCluster(): string | undefined {
  return spawnSync("go", ["version"]).error === undefined
    ? undefined
    : "go is missing, which builds etcd and kube-apiserver";
}
