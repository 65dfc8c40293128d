import { field, type PodWish, ref, resource, sleeper } from "./fidelity-pod.ts";

/** Everything else that a container sees: environment, rights, names, limits, neighbours. */
export const podsByContainers: readonly PodWish[] = [
  {
    name: "environment",
    metadata: { labels: { app: "web" }, annotations: { note: "n" } },
    container: {
      command: ["/bin/sh", "-c", "exec sleep 360000 # $(PLAIN) $$(PLAIN) $(UNKNOWN)"],
      args: ["$(PLAIN)", "b"],
      env: [
        { name: "PLAIN", value: "plain" },
        { name: "EXPANDED", value: "$(PLAIN)-$(SECRET)-$(LATER)-$$(PLAIN)" },
        { name: "SECRET", valueFrom: { secretKeyRef: ref("all", "password") } },
        { name: "OPTIONAL", valueFrom: { secretKeyRef: ref("all", "none", true) } },
        { name: "CONFIG", valueFrom: { configMapKeyRef: ref("all", "config.yaml") } },
        { name: "NO_CONFIG", valueFrom: { configMapKeyRef: ref("none", "none", true) } },
        { name: "LATER", value: "" },
        field("NAME", "metadata.name"),
        field("NAMESPACE", "metadata.namespace"),
        field("POD_UID", "metadata.uid"),
        field("LABEL", "metadata.labels['app']"),
        field("NOTE", "metadata.annotations['note']"),
        field("NODE_NAME", "spec.nodeName"),
        field("ACCOUNT", "spec.serviceAccountName"),
        field("HOST_IP", "status.hostIP"),
        field("HOST_IPS", "status.hostIPs"),
        field("POD_IP", "status.podIP"),
        field("POD_IPS", "status.podIPs"),
        resource("LIMIT_CPU", "limits.cpu"),
        resource("LIMIT_MEMORY", "limits.memory", "1Ki"),
        resource("REQUEST_CPU", "requests.cpu", "1m"),
        resource("REQUEST_MEMORY", "requests.memory"),
        resource("LIMIT_DISK", "limits.ephemeral-storage"),
      ],
      envFrom: [
        { prefix: "S_", secretRef: { name: "all" } },
        { configMapRef: { name: "all" } },
        { secretRef: { name: "none", optional: true } },
      ],
      resources: { requests: { cpu: "25m" }, limits: { memory: "48Mi" } },
    },
  },
  { name: "no-links", spec: { enableServiceLinks: false } },
  {
    name: "security",
    spec: {
      securityContext: {
        runAsUser: 1234,
        runAsGroup: 2345,
        fsGroup: 3456,
        supplementalGroups: [4567],
        seccompProfile: { type: "RuntimeDefault" },
        fsGroupChangePolicy: "OnRootMismatch",
      },
    },
    container: {
      workingDir: "/work",
      securityContext: {
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
      },
      terminationMessagePath: "/work/message",
    },
    volumes: [
      { name: "work", emptyDir: {}, mount: { mountPath: "/work" } },
      { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } },
      { name: "keys", secret: { secretName: "all", defaultMode: 0o440 } },
    ],
  },
  { name: "privileged", container: { securityContext: { privileged: true } } },
  {
    name: "strict",
    spec: {
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65_534,
        supplementalGroups: [4567],
        supplementalGroupsPolicy: "Strict",
        seccompProfile: { type: "Unconfined" },
        sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "80" }],
      },
    },
    container: { securityContext: { procMount: "Default", capabilities: { drop: ["CHOWN"] } } },
  },
  {
    name: "guaranteed",
    container: {
      resources: {
        limits: { cpu: "50m", memory: "32Mi" },
        requests: { cpu: "50m", memory: "32Mi" },
      },
    },
  },
  {
    name: "host",
    spec: { hostNetwork: true, hostPID: true, hostIPC: true, dnsPolicy: "ClusterFirstWithHostNet" },
  },
  { name: "host-network", spec: { hostNetwork: true } },
  { name: "default-dns", spec: { dnsPolicy: "Default" } },
  {
    name: "named",
    spec: {
      hostname: "given",
      subdomain: "sub",
      setHostnameAsFQDN: true,
      hostAliases: [{ ip: "192.0.2.77", hostnames: ["alias", "alias.example"] }],
      dnsPolicy: "None",
      dnsConfig: {
        nameservers: ["192.0.2.53"],
        searches: ["example"],
        options: [{ name: "ndots", value: "3" }],
      },
      shareProcessNamespace: true,
    },
  },
  {
    name: "many",
    spec: {
      initContainers: [
        {
          ...sleeper,
          name: "first",
          command: ["/bin/sh", "-c", "{ env | sort; id; hostname; } > /shared/first"],
          env: [{ name: "SECRET", valueFrom: { secretKeyRef: ref("all", "VALID_NAME") } }],
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        },
        {
          ...sleeper,
          name: "sidecar",
          restartPolicy: "Always",
          env: [field("NAME", "metadata.name")],
        },
      ],
    },
    container: {
      lifecycle: { postStart: { exec: { command: ["/bin/touch", "/shared/started"] } } },
      startupProbe: { exec: { command: ["/bin/test", "-e", "/shared/started"] }, periodSeconds: 1 },
      livenessProbe: { exec: { command: ["/bin/true"] } },
    },
    volumes: [{ name: "shared", emptyDir: {}, mount: { mountPath: "/shared" } }],
    more: [
      { ...sleeper, name: "second", volumeMounts: [{ name: "shared", mountPath: "/elsewhere" }] },
    ],
  },
  {
    name: "served",
    metadata: { labels: { app: "web" } },
    container: {
      command: ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/etc"],
      ports: [{ name: "http", containerPort: 8080 }],
      readinessProbe: { httpGet: { port: "http", path: "/hostname" }, periodSeconds: 1 },
      livenessProbe: { tcpSocket: { port: "http" } },
      lifecycle: { preStop: { httpGet: { port: "http", path: "/hostname" } } },
    },
  },
];

/** Pods that a Deployment and a StatefulSet make: their names are theirs to give. */
export const podsOfControllers: Readonly<Record<"Deployment" | "StatefulSet", PodWish>> = {
  Deployment: { name: "deployed", container: { env: [field("NAME", "metadata.name")] } },
  StatefulSet: {
    name: "counted",
    container: { env: [field("INDEX", "metadata.labels['apps.kubernetes.io/pod-index']")] },
  },
};
