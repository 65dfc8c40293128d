import assert from "node:assert/strict";
import { suite } from "uvu";
import { expand } from "../kubelet/expansion.ts";
import {
  configMap,
  containerPod,
  envOf,
  manifestOf,
  node,
  planOf,
  pod,
  secret,
  skipsOf,
} from "./plan-of.ts";

const environment = suite("plan/environment");

const older = { ...node, status: { nodeInfo: { kubeletVersion: "v1.34.4" } } };
const ref = (name: string, key: string, optional?: boolean) => ({
  secretKeyRef: { name, key, ...(optional === undefined ? {} : { optional }) },
});
const service = (
  name: string,
  namespace: string,
  clusterIP: string,
  created = "2026-11-22T08:00:00Z",
  ports: readonly unknown[] = [{ port: 80 }],
) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace, creationTimestamp: created },
  spec: { clusterIP, ports },
});

const dollars = ["$", "$$", "$(PATH)", "$$(A)", "end$", "$é", "a$b$$c", "$(", "$\u007bA}"];
for (const value of dollars) {
  environment(`a secret value ${value} reaches the container as it is`, () => {
    const plan = planOf([
      containerPod({ env: [{ name: "A", valueFrom: ref("s", "k") }] }),
      secret("s", { k: value }),
    ]);
    const [entry = ""] = envOf(plan);
    assert.equal(
      expand(
        entry.slice(2),
        new Map([
          ["PATH", "wrong"],
          ["A", "wrong"],
        ]),
      ),
      value,
    );
  });
}

const cases = [
  {
    name: "literals, command and arguments stay unescaped",
    container: { env: [{ name: "A", value: "$(B) $$" }], command: ["$(A)"], args: ["$$"] },
    objects: [],
    env: ["A=$(B) $$"],
  },
  {
    name: "envFrom comes first, by name, the later source over the earlier, with prefixes",
    container: {
      env: [{ name: "Z", value: "$(P_b)" }],
      envFrom: [
        { prefix: "P_", configMapRef: { name: "one" } },
        { prefix: "P_", secretRef: { name: "two" } },
      ],
    },
    objects: [configMap("one", { b: "1", a: "1" }), secret("two", { b: "2" })],
    env: ["P_a=1", "P_b=2", "Z=$(P_b)"],
  },
  {
    name: "binaryData never reaches an environment",
    container: { envFrom: [{ configMapRef: { name: "one" } }] },
    objects: [configMap("one", { a: "1" }, { b: "AAAA" })],
    env: ["a=1"],
  },
  {
    name: "a missing optional key leaves the earlier value alone",
    container: {
      env: [
        { name: "K", valueFrom: ref("s", "gone", true) },
        { name: "L", valueFrom: ref("gone", "k", true) },
      ],
      envFrom: [{ secretRef: { name: "s" } }, { secretRef: { name: "gone", optional: true } }],
    },
    objects: [secret("s", { K: "kept" })],
    env: ["K=kept"],
  },
  {
    name: "one name twice in env stays twice, so that what lies between sees the first",
    container: {
      env: [
        { name: "A", value: "1" },
        { name: "B", value: "$(A)" },
        { name: "A", value: "2" },
      ],
    },
    objects: [],
    env: ["A=1", "B=$(A)", "A=2"],
  },
  {
    name: "an empty secret value is an empty variable",
    container: { env: [{ name: "A", valueFrom: ref("s", "k") }] },
    objects: [secret("s", { k: "" })],
    env: ["A="],
  },
  {
    name: "odd keys are taken by kubelets from 1.35",
    container: { envFrom: [{ configMapRef: { name: "one" } }] },
    objects: [configMap("one", { "1digit": "a", "with.dot": "b", "-dash": "c" })],
    env: ["-dash=c", "1digit=a", "with.dot=b"],
  },
  {
    name: "a leading digit is left out for kubelets before 1.35, which would refuse the whole manifest",
    container: { envFrom: [{ configMapRef: { name: "one" } }] },
    objects: [configMap("one", { "1digit": "a", "with.dot": "b" }), older],
    env: ["with.dot=b"],
    warnings: ["W_ENV_NAME"],
  },
  {
    name: "the parent's name, uid, labels, annotations and service account are literals",
    container: {
      env: [
        "metadata.name",
        "metadata.uid",
        "metadata.labels['app']",
        "metadata.labels['none']",
        "metadata.annotations['a/b']",
        "spec.serviceAccountName",
      ].map((fieldPath, at) => ({
        name: `F${at}`,
        valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } },
      })),
    },
    metadata: { labels: { app: "$x" }, annotations: { "a/b": "note" } },
    spec: { serviceAccountName: "robot" },
    objects: [],
    env: [
      "F0=web",
      "F1=0d82ee9d-52ab-4d25-8856-d042918bc46b",
      "F2=$$x",
      "F3=",
      "F4=note",
      "F5=robot",
    ],
  },
  {
    name: "what a kubelet answers the same for a static pod stays a field reference",
    container: { env: [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }] },
    objects: [],
    env: ['IP={"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}}'],
  },
  {
    name: "requests are literals, rounded up by the divisor; limits stay",
    container: {
      resources: { requests: { cpu: "100m", memory: "70Mi" }, limits: { memory: "170Mi" } },
      env: [
        { name: "C", valueFrom: { resourceFieldRef: { resource: "requests.cpu" } } },
        { name: "M", valueFrom: { resourceFieldRef: { resource: "requests.cpu", divisor: "1m" } } },
        {
          name: "R",
          valueFrom: { resourceFieldRef: { resource: "requests.memory", divisor: "1Mi" } },
        },
        { name: "L", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "0" } } },
      ],
    },
    objects: [],
    env: [
      "C=1",
      "M=100",
      "R=70",
      'L={"name":"L","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"0"}}}',
    ],
  },
  {
    name: "an undeclared request is the limit, as the apiserver's defaulting would have written it",
    container: {
      resources: { limits: { cpu: 2 } },
      env: [{ name: "C", valueFrom: { resourceFieldRef: { resource: "requests.cpu" } } }],
    },
    objects: [],
    env: ["C=2"],
  },
];

for (const { name, container, objects, env, warnings = [], ...more } of cases) {
  environment(name, () => {
    const made = pod(
      {
        containers: [{ name: "main", image: "a:1", ...container }],
        ...("spec" in more ? more.spec : {}),
      },
      "metadata" in more ? more.metadata : {},
    );
    const plan = planOf([made, ...objects]);
    assert.deepEqual(envOf(plan), env);
    assert.deepEqual(
      plan.warnings.map(({ code }) => code),
      warnings,
    );
  });
}

const services = [
  service("kubernetes", "default", "10.96.0.1", undefined, [
    { name: "https", port: 443, protocol: "TCP" },
  ]),
  service("db-one", "prod", "fd00::1"),
  service("other", "else", "10.96.0.3"),
  service("headless", "prod", "None"),
];

environment(
  "service variables are those of the namespace and of default/kubernetes, IPv6 in brackets",
  () => {
    const env = envOf(planOf([containerPod({}), ...services]));
    assert.deepEqual(env, [
      "KUBERNETES_SERVICE_HOST=10.96.0.1",
      "KUBERNETES_SERVICE_PORT=443",
      "KUBERNETES_SERVICE_PORT_HTTPS=443",
      "KUBERNETES_PORT=tcp://10.96.0.1:443",
      "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
      "KUBERNETES_PORT_443_TCP_PROTO=tcp",
      "KUBERNETES_PORT_443_TCP_PORT=443",
      "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
      "DB_ONE_SERVICE_HOST=fd00::1",
      "DB_ONE_SERVICE_PORT=80",
      "DB_ONE_PORT=tcp://[fd00::1]:80",
      "DB_ONE_PORT_80_TCP=tcp://[fd00::1]:80",
      "DB_ONE_PORT_80_TCP_PROTO=tcp",
      "DB_ONE_PORT_80_TCP_PORT=80",
      "DB_ONE_PORT_80_TCP_ADDR=fd00::1",
    ]);
  },
);

environment("without service links only default/kubernetes is left", () => {
  const env = envOf(planOf([containerPod({}, { enableServiceLinks: false }), ...services]));
  assert.ok(env.every((entry) => entry.startsWith("KUBERNETES_")) && env.length === 8);
});

environment("a Service younger than the running container is not in its environment", () => {
  const started = (at: string) =>
    pod(
      {},
      {},
      { status: { containerStatuses: [{ name: "main", state: { running: { startedAt: at } } }] } },
    );
  const late = service("late", "prod", "10.96.0.9", "2026-11-22T08:10:00Z");
  assert.equal(envOf(planOf([started("2026-11-22T08:09:59Z"), late])).length, 0);
  assert.equal(envOf(planOf([started("2026-11-22T08:10:00Z"), late])).length, 7);
});

environment(
  "the pod's own variable wins over a service variable, which earlier entries still see",
  () => {
    const env = envOf(
      planOf([
        containerPod({
          env: [
            { name: "A", value: "$(DB_ONE_SERVICE_PORT)" },
            { name: "DB_ONE_SERVICE_PORT", value: "mine" },
          ],
        }),
        ...services,
      ]),
    );
    const seen = new Map<string, string>();
    for (const [name = "", value = ""] of env.map((entry) => entry.split(/=(.*)/s))) {
      seen.set(name, expand(value, seen));
    }
    assert.equal(seen.get("A"), "80");
    assert.equal(seen.get("DB_ONE_SERVICE_PORT"), "mine");
  },
);

environment("a manifest with a Secret's value carries resourceVersion 1, others do not", () => {
  const inEnv = planOf([
    containerPod({ env: [{ name: "A", valueFrom: ref("s", "k") }] }),
    secret("s", { k: "v" }),
  ]);
  assert.equal(manifestOf(inEnv).metadata.resourceVersion, "1");
  assert.equal(inEnv.pods[0]?.manifest.carriesSecret, true);
  const overwritten = planOf([
    containerPod({ envFrom: [{ secretRef: { name: "s" } }, { configMapRef: { name: "c" } }] }),
    secret("s", { k: "v" }),
    configMap("c", { k: "public" }),
  ]);
  assert.equal(manifestOf(overwritten).metadata.resourceVersion, undefined);
});

const refusals = [
  {
    name: "case 57: a value that is not UTF-8",
    code: "E_ENV_BYTES",
    container: { env: [{ name: "A", valueFrom: ref("s", "bin") }] },
  },
  {
    name: "case 57: a value with a NUL",
    code: "E_ENV_BYTES",
    container: { env: [{ name: "A", valueFrom: ref("s", "nul") }] },
  },
  {
    name: "case 58: an impossible name",
    code: "E_ENV_NAME",
    container: { env: [{ name: "A=B", value: "x" }] },
  },
  {
    name: "case 58: an empty name",
    code: "E_ENV_NAME",
    container: { env: [{ name: "", value: "x" }] },
  },
  {
    name: "case 58: a value of a megabyte",
    code: "E_ENV_SIZE",
    container: { env: [{ name: "A", value: "x".repeat(1 << 20) }] },
  },
  {
    name: "case 59: a missing Secret",
    code: "E_REF_MISSING",
    container: { env: [{ name: "A", valueFrom: ref("gone", "k") }] },
  },
  {
    name: "case 59: a missing key",
    code: "E_REF_MISSING",
    container: { env: [{ name: "A", valueFrom: ref("s", "gone") }] },
  },
  {
    name: "case 59: a missing envFrom object",
    code: "E_REF_MISSING",
    container: { envFrom: [{ configMapRef: { name: "gone" } }] },
  },
  {
    name: "case 56: data that is not base64",
    code: "E_B64",
    container: { env: [{ name: "A", valueFrom: ref("broken", "k") }] },
  },
];
for (const { name, code, container } of refusals) {
  environment(`${name} leaves the pod out`, () => {
    const broken = { ...secret("broken", {}), data: { k: "%%%" } };
    const plan = planOf([
      containerPod(container),
      broken,
      secret("s", { bin: new Uint8Array([0xff, 0xfe]), nul: "a\0b" }),
    ]);
    assert.deepEqual(skipsOf(plan), [code]);
    assert.match(plan.skipped[0]?.message ?? "", /prod\/(web|broken)/);
  });
}

environment("secretEnv: refuse leaves out exactly the pods that carry Secret values", () => {
  const plan = planOf(
    [containerPod({ env: [{ name: "A", valueFrom: ref("s", "k") }] }), secret("s", { k: "v" })],
    { secretEnv: "refuse" },
  );
  assert.deepEqual(skipsOf(plan), ["E_SECRET_ENV"]);
});

environment("a variable from a file needs a kubelet of 1.35", () => {
  const made = containerPod(
    { env: [{ name: "A", valueFrom: { fileKeyRef: { volumeName: "e", path: "f", key: "k" } } }] },
    { volumes: [{ name: "e", emptyDir: {} }] },
  );
  assert.equal(planOf([made]).pods.length, 1);
  assert.deepEqual(skipsOf(planOf([made, older])), ["E_UNSUPPORTED_FIELD"]);
});

environment.run();
