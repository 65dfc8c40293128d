import assert from "node:assert/strict";
import { suite } from "uvu";
import { checkNoReferences } from "../../src/plan/references.ts";
import {
  configMap,
  containerPod,
  manifestOf,
  node,
  planOf,
  pod,
  secret,
  skipsOf,
} from "./plan-of.ts";

const staticPod = suite("plan/static-pod");
type Fields = Readonly<Record<string, unknown>>;
const older = { ...node, status: { nodeInfo: { kubeletVersion: "v1.34.4" } } };
const warningsOf = (plan: ReturnType<typeof planOf>) => plan.warnings.map(({ code }) => code);

staticPod(
  "the metadata are the parent's name, our marks, and no trace of the parent's life",
  () => {
    const { metadata } = manifestOf(
      planOf([
        pod(
          {},
          {
            labels: { app: "web" },
            annotations: {
              "kubernetes.io/config.hash": "x",
              "kubectl.kubernetes.io/last-applied-configuration": "{}",
              "k8s.v1.cni.cncf.io/network-status": "[]",
              "blackstart.dev/checkpoint": "true",
              "container.apparmor.security.beta.kubernetes.io/main": "runtime/default",
            },
            generateName: "web-",
            resourceVersion: "12",
            generation: 3,
            finalizers: ["a/b"],
            ownerReferences: [{ kind: "ReplicaSet", name: "web" }],
            managedFields: [],
            creationTimestamp: "2026-11-22T08:00:00Z",
          },
          { status: { phase: "Running", qosClass: "Guaranteed" } },
        ),
      ]),
    );
    assert.deepEqual(metadata, {
      name: "web",
      namespace: "prod",
      labels: { "blackstart.dev/checkpoint": "true" },
      annotations: {
        "container.apparmor.security.beta.kubernetes.io/main": "runtime/default",
        "blackstart.dev/checkpoint-of": "web",
        "blackstart.dev/parent-uid": "0d82ee9d-52ab-4d25-8856-d042918bc46b",
        "blackstart.dev/generation": "7",
      },
    });
  },
);

staticPod("the spec loses what names the API or the place, and keeps what nobody knows", () => {
  const { spec } = manifestOf(
    planOf([
      pod({
        serviceAccountName: "a",
        serviceAccount: "a",
        automountServiceAccountToken: true,
        imagePullSecrets: [{ name: "p" }],
        nodeSelector: { a: "b" },
        affinity: {},
        topologySpreadConstraints: [{}],
        schedulingGates: [],
        readinessGates: [{}],
        activeDeadlineSeconds: 5,
        ephemeralContainers: [{ name: "x" }],
        overhead: { cpu: "1" },
        hostUsers: false,
        fromTheFuture: { a: [1] },
        priority: 2000000000,
        priorityClassName: "system-cluster-critical",
        securityContext: { fsGroup: 3, tomorrow: 1 },
        restartPolicy: "OnFailure",
        enableServiceLinks: false,
      }),
    ]),
  );
  assert.deepEqual(
    { ...spec, containers: undefined },
    {
      hostUsers: false,
      fromTheFuture: { a: [1] },
      priority: 2000000000,
      priorityClassName: "system-cluster-critical",
      securityContext: { fsGroup: 3, tomorrow: 1 },
      restartPolicy: "OnFailure",
      enableServiceLinks: false,
      dnsPolicy: "Default",
      hostname: "web",
      containers: undefined,
      volumes: [],
    },
  );
});

staticPod("ports go, and what named them gets the number; unknown names stay", () => {
  const [container] = manifestOf(
    planOf([
      containerPod({
        ports: [
          { name: "http", containerPort: 80 },
          { name: "admin", containerPort: 8080, hostPort: 8080 },
        ],
        livenessProbe: { httpGet: { port: "http", path: "/x" }, periodSeconds: 3 },
        readinessProbe: { tcpSocket: { port: "admin" } },
        startupProbe: { grpc: { port: 5 } },
        lifecycle: {
          postStart: { httpGet: { port: "nowhere" } },
          preStop: { tcpSocket: { port: 9 } },
          stopSignal: "SIGUSR1",
        },
        tomorrow: true,
        imagePullPolicy: "Always",
      }),
    ]),
  ).spec.containers;
  assert.deepEqual(container, {
    name: "main",
    image: "app:1",
    livenessProbe: { httpGet: { port: 80, path: "/x" }, periodSeconds: 3 },
    readinessProbe: { tcpSocket: { port: 8080 } },
    startupProbe: { grpc: { port: 5 } },
    lifecycle: {
      postStart: { httpGet: { port: "nowhere" } },
      preStop: { tcpSocket: { port: 9 } },
      stopSignal: "SIGUSR1",
    },
    tomorrow: true,
    imagePullPolicy: "IfNotPresent",
    resources: { requests: { cpu: "0", memory: "0" } },
  });
});

const resources = [
  {
    name: "limits stay, requests are zero for each of them",
    given: { limits: { cpu: "1", "ephemeral-storage": "1Gi" }, requests: { cpu: "1" } },
    made: {
      limits: { cpu: "1", "ephemeral-storage": "1Gi" },
      requests: { cpu: "0", memory: "0", "ephemeral-storage": "0" },
    },
  },
  {
    name: "devices go with a warning",
    given: { limits: { "vendor.com/gpu": "1" }, requests: { "vendor.com/gpu": "1" } },
    made: { requests: { cpu: "0", memory: "0" } },
    warning: "W_DEVICE_DROPPED",
  },
  {
    name: "hugepages keep request = limit",
    given: { limits: { "hugepages-2Mi": "4Mi" }, requests: { "hugepages-2Mi": "4Mi" } },
    made: {
      limits: { "hugepages-2Mi": "4Mi" },
      requests: { cpu: "0", memory: "0", "hugepages-2Mi": "4Mi" },
    },
    warning: "W_HUGEPAGES",
  },
];
for (const { name, given, made, ...rest } of resources) {
  staticPod(`resources: ${name}`, () => {
    const plan = planOf([containerPod({ resources: given })]);
    assert.deepEqual(manifestOf(plan).spec.containers[0]?.["resources"], made);
    assert.deepEqual(warningsOf(plan), "warning" in rest ? [rest.warning] : []);
  });
}

staticPod(
  "written volumes are hostPath directories under one folder a pod, read-only at every mount",
  () => {
    const made = containerPod(
      {
        volumeMounts: [
          { name: "v", mountPath: "/a" },
          { name: "e", mountPath: "/e" },
        ],
      },
      {
        initContainers: [
          {
            name: "init",
            image: "a:1",
            volumeMounts: [{ name: "v", mountPath: "/b", subPath: "k" }],
          },
        ],
        volumes: [
          { name: "v", secret: { secretName: "s" } },
          { name: "e", emptyDir: { medium: "Memory" } },
        ],
      },
    );
    const { spec } = manifestOf(planOf([made, secret("s", { k: "v" })]));
    assert.deepEqual(spec.volumes, [
      { name: "v", hostPath: { path: "/run/blackstart/pods/prod_web/v", type: "Directory" } },
      { name: "e", emptyDir: { medium: "Memory" } },
    ]);
    assert.deepEqual(spec.containers[0]?.["volumeMounts"], [
      { name: "v", mountPath: "/a", readOnly: true },
      { name: "e", mountPath: "/e" },
    ]);
    assert.deepEqual(spec["initContainers"], [
      {
        name: "init",
        image: "a:1",
        volumeMounts: [{ name: "v", mountPath: "/b", subPath: "k", readOnly: true }],
        imagePullPolicy: "IfNotPresent",
        resources: { requests: { cpu: "0", memory: "0" } },
      },
    ]);
  },
);

staticPod("a volume that nothing mounts goes, and what it misses is no error", () => {
  const plan = planOf([
    pod({
      volumes: [
        { name: "v", secret: { secretName: "gone" } },
        { name: "c", csi: { driver: "d" } },
        { name: "e", emptyDir: {} },
      ],
    }),
  ]);
  assert.deepEqual(manifestOf(plan).spec.volumes, [{ name: "e", emptyDir: {} }]);
});

const claim = {
  kind: "PersistentVolumeClaim",
  metadata: { name: "data", namespace: "prod" },
  spec: { volumeName: "pv" },
};
const persistent = (spec: Fields) => ({ kind: "PersistentVolume", metadata: { name: "pv" }, spec });
const claimPod = (readOnly?: boolean) =>
  containerPod(
    { volumeMounts: [{ name: "v", mountPath: "/v" }] },
    {
      volumes: [
        {
          name: "v",
          persistentVolumeClaim: {
            claimName: "data",
            ...(readOnly === undefined ? {} : { readOnly }),
          },
        },
      ],
    },
  );
const claims = [
  {
    name: "hostPath",
    spec: { hostPath: { path: "/srv", type: "DirectoryOrCreate" } },
    volume: { hostPath: { path: "/srv", type: "DirectoryOrCreate" } },
  },
  {
    name: "local",
    spec: { local: { path: "/mnt/disk" } },
    volume: { hostPath: { path: "/mnt/disk", type: "Directory" } },
  },
  {
    name: "NFS",
    spec: { nfs: { server: "n", path: "/p", readOnly: true }, mountOptions: ["hard"] },
    volume: { nfs: { server: "n", path: "/p" } },
    warnings: ["W_MOUNT_OPTIONS"],
  },
];
for (const { name, spec, volume, ...rest } of claims) {
  staticPod(`a claim on a ${name} volume becomes that volume`, () => {
    const plan = planOf([claimPod(true), claim, persistent(spec)]);
    const { spec: made } = manifestOf(plan);
    assert.deepEqual(made.volumes, [{ name: "v", ...volume }]);
    assert.deepEqual(made.containers[0]?.["volumeMounts"], [
      { name: "v", mountPath: "/v", readOnly: true },
    ]);
    assert.deepEqual(warningsOf(plan), "warnings" in rest ? rest.warnings : []);
  });
}

const withVolume = (volume: Fields) =>
  containerPod(
    { volumeMounts: [{ name: "v", mountPath: "/v" }] },
    { volumes: [{ name: "v", ...volume }] },
  );
const refusals = [
  {
    name: "case 67: CSI",
    code: "E_UNSUPPORTED_VOLUME",
    objects: [withVolume({ csi: { driver: "d" } })],
  },
  {
    name: "case 67: a generic ephemeral volume",
    code: "E_UNSUPPORTED_VOLUME",
    objects: [withVolume({ ephemeral: {} })],
  },
  {
    name: "case 67: a kind of tomorrow",
    code: "E_UNSUPPORTED_VOLUME",
    objects: [withVolume({ quantum: {} })],
  },
  {
    name: "iSCSI with credentials",
    code: "E_UNSUPPORTED_VOLUME",
    objects: [withVolume({ iscsi: { secretRef: { name: "s" } } })],
  },
  {
    name: "a claim on CSI",
    code: "E_UNSUPPORTED_VOLUME",
    objects: [claimPod(), claim, persistent({ csi: {} })],
  },
  {
    name: "a raw block claim",
    code: "E_UNSUPPORTED_VOLUME",
    objects: [claimPod(), claim, persistent({ local: { path: "/d" }, volumeMode: "Block" })],
  },
  {
    name: "an unbound claim",
    code: "E_REF_MISSING",
    objects: [claimPod(), { ...claim, spec: {} }],
  },
  { name: "a claim that is not there", code: "E_REF_MISSING", objects: [claimPod()] },
  {
    name: "case 72: a hostPath into our run directory",
    code: "E_HOSTPATH_SELF",
    objects: [withVolume({ hostPath: { path: "/var/run/./blackstart/pods" } })],
  },
  {
    name: "case 72: a hostPath into the store",
    code: "E_HOSTPATH_SELF",
    objects: [withVolume({ hostPath: { path: "/var/lib/blackstart" } })],
  },
  {
    name: "a resource claim",
    code: "E_UNSUPPORTED_FIELD",
    objects: [pod({ resourceClaims: [{ name: "c" }] })],
  },
  {
    name: "a runtime class of its own",
    code: "E_RUNTIME_CLASS",
    objects: [
      pod({ runtimeClassName: "kata" }),
      { kind: "RuntimeClass", metadata: { name: "kata" }, handler: "kata" },
    ],
  },
  {
    name: "an unknown runtime class",
    code: "E_RUNTIME_CLASS",
    objects: [pod({ runtimeClassName: "kata" })],
  },
  {
    name: "a name too long beside the node's",
    code: "E_NAME",
    objects: [pod({}, { name: `a${"-b".repeat(110)}` })],
  },
  {
    name: "case 69: annotations beyond 256 KiB",
    code: "E_ANNOTATION",
    objects: [pod({}, { annotations: { a: "x".repeat(262_144) } })],
  },
  {
    name: "case 71: a manifest beyond 10 MiB",
    code: "E_TOO_BIG",
    objects: [pod({ tomorrow: "x".repeat(10 << 20) })],
  },
];
for (const { name, code, objects } of refusals) {
  staticPod(`${name} leaves the pod out`, () => {
    assert.deepEqual(skipsOf(planOf(objects)), [code]);
  });
}

staticPod("a runtime class with the default handler is left out with a warning", () => {
  const plan = planOf([
    pod({ runtimeClassName: "plain" }),
    { kind: "RuntimeClass", metadata: { name: "plain" }, handler: "runc" },
  ]);
  assert.equal(manifestOf(plan).spec["runtimeClassName"], undefined);
  assert.deepEqual(warningsOf(plan), ["W_RUNTIME_CLASS"]);
});

const hostnames = [
  { name: "a label is set", pod: pod({}, { name: "web-0" }), made: { hostname: "web-0" } },
  { name: "the pod's own stays", pod: pod({ hostname: "mine" }), made: { hostname: "mine" } },
  { name: "none on the host network", pod: pod({ hostNetwork: true }), made: {} },
  {
    name: "more than 63 characters are cut as the kubelet cuts them",
    pod: pod({}, { name: `${"a".repeat(62)}-${"b".repeat(9)}` }),
    made: { hostname: "a".repeat(62) },
  },
  {
    name: "a dotted name needs hostnameOverride",
    pod: pod({}, { name: "a.b" }),
    made: { hostnameOverride: "a.b" },
  },
];
for (const { name, pod: given, made } of hostnames) {
  staticPod(`hostname: ${name}`, () => {
    const { spec } = manifestOf(planOf([given]));
    const { hostname, hostnameOverride } = spec as Fields & {
      hostname?: string;
      hostnameOverride?: string;
    };
    assert.deepEqual(
      {
        ...(hostname === undefined ? {} : { hostname }),
        ...(hostnameOverride === undefined ? {} : { hostnameOverride }),
      },
      made,
    );
  });
}

const dns = {
  kind: "Service",
  metadata: { name: "kube-dns", namespace: "kube-system" },
  spec: {
    clusterIP: "10.96.0.10",
    selector: { app: "dns" },
    ports: [{ port: 53, protocol: "UDP" }],
  },
};
const dnsPod = pod({}, { name: "coredns", namespace: "kube-system", labels: { app: "dns" } });
const policies = [
  {
    name: "ClusterFirst on the host network is Default",
    objects: [pod({ hostNetwork: true, dnsPolicy: "ClusterFirst" })],
    made: "Default",
    warnings: [],
  },
  {
    name: "ClusterFirst without a DNS pod in the checkpoint asks the node's resolvers",
    objects: [pod({ dnsPolicy: "ClusterFirst" })],
    made: "Default",
    warnings: ["W_DNS"],
  },
  {
    name: "ClusterFirst stays where a DNS pod is restored too",
    objects: [pod({ dnsPolicy: "ClusterFirst" }), dns, dnsPod],
    made: "ClusterFirst",
    warnings: [],
  },
  { name: "None stays", objects: [pod({ dnsPolicy: "None" })], made: "None", warnings: [] },
];
for (const { name, objects, made, warnings } of policies) {
  staticPod(`DNS: ${name}`, () => {
    const plan = planOf(objects);
    const text = plan.pods.find((one) => one.name === "web")?.manifest.text ?? "";
    assert.equal(JSON.parse(text).spec.dnsPolicy, made);
    assert.deepEqual(warningsOf(plan), warnings);
  });
}

staticPod("kubelets before 1.35: what they would refuse is left out with a warning", () => {
  const made = containerPod(
    {
      restartPolicy: "Never",
      restartPolicyRules: [],
      lifecycle: { preStop: { sleep: { seconds: 0 } } },
    },
    { dnsConfig: { searches: ["ok.example.", "_bad.example"] } },
  );
  const plan = planOf([made, older]);
  const { spec } = manifestOf(plan);
  assert.equal(spec.containers[0]?.["restartPolicy"], undefined);
  assert.deepEqual(spec.containers[0]?.["lifecycle"], {});
  assert.deepEqual(spec["dnsConfig"], { searches: ["ok.example."] });
  assert.deepEqual(warningsOf(plan), ["W_FIELD_DROPPED", "W_FIELD_DROPPED"]);
  assert.equal(manifestOf(planOf([made])).spec.containers[0]?.["restartPolicy"], "Never");
});

staticPod("a kubelet of unknown version counts as old, and that is said", () => {
  const nameless = { ...node, status: {} };
  assert.deepEqual(warningsOf(planOf([pod({}), nameless])), ["W_KUBELET"]);
});

staticPod("case 54: a/b-c and a-b/c have different files", () => {
  const plan = planOf([
    pod({}, { namespace: "a", name: "b-c" }),
    pod({}, { namespace: "a-b", name: "c" }),
  ]);
  assert.equal(new Set(plan.pods.map(({ manifest }) => manifest.file)).size, 2);
});

staticPod("a copy whose full name another pod has takes another name", () => {
  const plan = planOf([pod({}, { name: "etcd" }), pod({}, { name: "etcd-node1" })]);
  assert.deepEqual(
    plan.pods.map(({ manifest }) => JSON.parse(manifest.text).metadata.name).sort(),
    ["etcd-blackstart", "etcd-node1"],
  );
});

staticPod("etcd comes first, then the apiserver", () => {
  const named = (name: string, command: string) =>
    pod({ containers: [{ name: "c", image: "a:1", command: [command] }] }, { name });
  const plan = planOf([
    named("a", "/bin/x"),
    named("b", "/usr/bin/kube-apiserver"),
    named("z", "/bin/etcd"),
  ]);
  assert.deepEqual(
    plan.pods.map(({ name }) => name),
    ["z", "b", "a"],
  );
});

const references = [
  { field: "spec.serviceAccountName", spec: { serviceAccountName: "a" } },
  { field: "spec.serviceAccount", spec: { serviceAccount: "a" } },
  { field: "spec.imagePullSecrets", spec: { imagePullSecrets: [{ name: "a" }] } },
  { field: "spec.resourceClaims", spec: { resourceClaims: [{}] } },
  {
    field: "spec.containers[0].envFrom[0]",
    spec: { containers: [{ envFrom: [{ secretRef: {} }] }] },
  },
  {
    field: "spec.initContainers[0].env[0].valueFrom",
    spec: { initContainers: [{ env: [{ valueFrom: { configMapKeyRef: {} } }] }] },
  },
  { field: "spec.volumes[0].secret", spec: { volumes: [{ name: "a", secret: {} }] } },
  { field: "spec.volumes[0].csi", spec: { volumes: [{ name: "a", csi: {} }] } },
  {
    field: "spec.volumes[0].projected.sources[1]",
    spec: {
      volumes: [
        { name: "a", projected: { sources: [{ downwardAPI: {} }, { serviceAccountToken: {} }] } },
      ],
    },
  },
  {
    field: "spec.volumes[0].iscsi",
    spec: { volumes: [{ name: "a", iscsi: { secretRef: { name: "s" } } }] },
  },
  { field: "spec.volumes[0].unknown", spec: { volumes: [{ name: "a", unknown: {} }] } },
];
for (const { field, spec } of references) {
  staticPod(`the checker refuses ${field}`, () => {
    assert.throws(
      () => checkNoReferences({ spec }, "pod a/b"),
      (error: unknown) => error instanceof Error && error.message.includes(`(${field})`),
    );
  });
}

staticPod("the checker accepts what the kubelet accepts", () => {
  checkNoReferences(
    {
      spec: {
        serviceAccountName: "",
        volumes: [
          { name: "a", hostPath: {} },
          { name: "b", projected: { sources: [{ downwardAPI: {} }] } },
          { name: "c" },
        ],
      },
    },
    "pod a/b",
  );
});

staticPod("a ConfigMap's value needs no refused mirror", () => {
  const plan = planOf([
    containerPod({ env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "c", key: "k" } } }] }),
    configMap("c", { k: "v" }),
  ]);
  assert.equal(manifestOf(plan).metadata.resourceVersion, undefined);
});

staticPod.run();
