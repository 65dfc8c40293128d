import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { isPod } from "../../src/capture/select.ts";
import type { Checkpoint, ServiceAccountToken } from "../../src/model/checkpoint.ts";
import { demand } from "./api.ts";
import { askWith } from "./bearer.ts";
import { captureNode, ended } from "./capture-node.ts";
import { startControlPlane } from "./control-plane.ts";
import { note } from "./measured.ts";
import { objectsOfSet } from "./objects-of-set.ts";
import { until } from "./until.ts";

const tokens = suite("e2e/capture-tokens");

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const cluster = await startControlPlane({ dir: join(dir, "cluster") });
const { api } = cluster;
const apiAudience = "https://kubernetes.default.svc.cluster.local";
const pods = "/api/v1/namespaces/kube-system/pods";
await cluster.apply(objectsOfSet("setA"));
await cluster.apply([
  tokenPod("vault", [{ audience: "vault", expirationSeconds: 600, path: "token" }]),
  tokenPod("two", [
    { audience: "vault", path: "vault" },
    { path: "api", expirationSeconds: 86_400 },
  ]),
]);
const node = captureNode("node1", cluster.nodeKubeconfig("node1"));
const watching = node.watch();
await node.after(0, 90_000);

interface Claims {
  readonly aud: readonly string[];
  readonly iat: number;
  readonly exp: number;
  readonly sub: string;
  readonly "kubernetes.io": { readonly pod: { readonly name: string; readonly uid: string } };
}

tokens("each token is bound to its pod, for its audience, as long as it can be", () => {
  const checkpoint = node.open(1);
  const found = checkpoint.tokens.map((token) => {
    const { aud, iat, exp, sub, "kubernetes.io": bound } = claimsOf(token);
    const pod = podIn(checkpoint, token.pod);
    assert.deepEqual(bound.pod, { name: token.pod, uid: pod.metadata.uid });
    assert.equal(sub, `system:serviceaccount:${token.namespace}:${pod.spec.serviceAccountName}`);
    assert.equal(Date.parse(token.expiresAt), exp * 1000);
    assert.deepEqual(aud, [token.audience === "" ? apiAudience : token.audience]);
    return `${token.pod} ${token.audience} ${exp - iat}`;
  });
  const year = 31_536_000;
  const automatic = [
    "coredns-c54f8ddf8-r898l",
    "coredns-c54f8ddf8-rchld",
    "dashboard-778675c5c8-7bvd9",
    "dashboard-778675c5c8-xcl84",
    "kube-controller-manager-5f8c8f6d6d-jwd62",
    "kube-flannel-ds-6sqk8",
    "kube-proxy-2cnnb",
    "kube-scheduler-64f67d544-ll8kf",
    "kube-vip-ds-qxb8l",
    "old-and-new-annotation",
    "old-annotation",
    "plain-unannotated",
  ].map((name) => `${name}  ${year}`);
  assert.deepEqual(
    found.sort(),
    [...automatic, "two  86400", "two vault 3600", "vault vault 600"].sort(),
  );
  assert.deepEqual(checkpoint.unminted ?? [], []);
});

tokens("a pod without automatic tokens has none", () => {
  const checkpoint = node.open(1);
  for (const name of ["etcd-6n9pg", "kube-apiserver-dcnnb"]) {
    assert.equal(podIn(checkpoint, name).metadata.name, name);
    assert.deepEqual(
      checkpoint.tokens.filter(({ pod }) => pod === name),
      [],
    );
  }
});

tokens("the apiserver takes those that are for it, and no others", async () => {
  for (const token of node.open(1).tokens) {
    const { status, user } = await askWith(cluster, token.token);
    const expected = token.audience === "" ? 201 : 401;
    assert.equal(status, expected, `${token.pod} ${token.audience}`);
    if (expected === 201) {
      assert.equal(user, claimsOf(token).sub);
    }
  }
});

tokens("a pod that is replaced gets tokens of its own; the old ones are dropped", async () => {
  const before = node.newest();
  const old = node.open(before);
  const [former] = tokensOf(old, "vault");
  await demand(api, "DELETE", `${pods}/vault`, { gracePeriodSeconds: 0 });
  await demand(
    api,
    "POST",
    pods,
    tokenPod("vault", [{ audience: "vault", expirationSeconds: 600, path: "token" }]),
  );
  const checkpoint = node.open(await node.after(before));
  const [token] = tokensOf(checkpoint, "vault");
  assert.ok(token !== undefined && former !== undefined);
  assert.notEqual(token.token, former.token);
  assert.equal(claimsOf(token)["kubernetes.io"].pod.uid, podIn(checkpoint, "vault").metadata.uid);
  // The others' are the same still: nothing was minted for them.
  assert.deepEqual(tokensOf(checkpoint, "two"), tokensOf(old, "two"));
});

tokens("what cannot be minted is recorded with its reason, and costs no other token", async () => {
  await refuseAudience("forbidden");
  const before = node.newest();
  await cluster.apply([
    tokenPod("refused", [{ audience: "forbidden", path: "token" }]),
    tokenPod("orphan", [{ path: "token" }], { serviceAccountName: "short-lived" }),
  ]);
  await demand(api, "DELETE", "/api/v1/namespaces/kube-system/serviceaccounts/short-lived");
  await node.after(before);
  const has = (name: string) => node.open(node.newest()).pods.some((pod) => pod.name === name);
  await until(
    () => has("refused") && has("orphan"),
    10_000,
    () => watching.log().slice(-2000),
  );
  const fresh = captureNode("node1", cluster.nodeKubeconfig("node1"));
  ended(await fresh.once());
  const checkpoints = [node.open(node.newest()), fresh.open(1)];
  for (const [index, checkpoint] of checkpoints.entries()) {
    assert.deepEqual(tokensOf(checkpoint, "refused"), []);
    const of = (name: string) => checkpoint.unminted?.find(({ pod }) => pod === name)?.message;
    assert.match(of("refused") ?? "", /^E_API_FORBIDDEN: .*create serviceaccounts\/token/);
    assert.ok(checkpoint.tokens.length >= node.open(before).tokens.length);
    if (index === 1) {
      assert.match(of("orphan") ?? "", /^E_API_NOT_FOUND: /);
      note(`a token that is refused is told as: ${of("refused")}`);
    }
  }
});

tokens("no token is anywhere but in a sealed file", async () => {
  const once = await node.once(["-v"]);
  ended(once);
  const inJson = ended(await node.once(["-o", "json", "-v"]));
  const process = readFileSync(`/proc/${watching.pid}/cmdline`, "utf8");
  const environment = readFileSync(`/proc/${watching.pid}/environ`, "utf8");
  const said = [once, inJson].flatMap(({ stdout, stderr }) => [stdout, stderr]);
  const words = node
    .generations()
    .flatMap((generation) => node.open(generation).tokens.flatMap(({ token }) => token.split(".")));
  // The first part is the same for all tokens; the signature is each one's own.
  const secrets = [...new Set(words)];
  assert.ok(secrets.length > 20);
  const holders = () =>
    spawnSync("grep", ["-rlF", "-f", "-", node.root, watching.logFile], {
      input: `${secrets.join("\n")}\n`,
      encoding: "utf8",
    }).stdout;
  assert.equal(holders(), "");
  // That they would be found.
  const canary = join(node.root, "run/canary");
  writeFileSync(canary, `x${secrets[5]}x`);
  assert.equal(holders(), `${canary}\n`);
  for (const text of [process, environment, ...said]) {
    assert.ok(!secrets.some((secret) => text.includes(secret)));
  }
  await watching.stop();
});

/** By a policy, as an administrator would: the Node authorizer itself allows what a pod's spec names. */
async function refuseAudience(audience: string): Promise<void> {
  const policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
  const metadata = { name: "audiences" };
  const rule = {
    apiGroups: [""],
    apiVersions: ["v1"],
    operations: ["CREATE"],
    resources: ["serviceaccounts/token"],
  };
  const expression = `!('${audience}' in object.spec.audiences)`;
  await demand(api, "POST", policies, {
    metadata,
    spec: {
      matchConstraints: { resourceRules: [rule] },
      validations: [{ expression, reason: "Forbidden" }],
    },
  });
  await demand(api, "POST", `${policies.replace(/ies$/, "y")}bindings`, {
    metadata,
    spec: { policyName: "audiences", validationActions: ["Deny"] },
  });
  const path = "/api/v1/namespaces/default/serviceaccounts/default/token";
  const isRefused = async () =>
    (await api("POST", path, { spec: { audiences: [audience] } })).status === 403;
  await until(isRefused, 20_000, () => "the policy has no effect");
}

function tokenPod(name: string, sources: readonly object[], spec: object = {}) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "kube-system" },
    spec: {
      nodeName: "node1",
      automountServiceAccountToken: false,
      containers: [
        {
          name: "c",
          image: "registry.example/app:1",
          volumeMounts: [{ name: "tokens", mountPath: "/tokens" }],
        },
      ],
      volumes: [
        {
          name: "tokens",
          projected: {
            sources: sources.map((serviceAccountToken) => ({ serviceAccountToken })),
          },
        },
      ],
      ...spec,
    },
  };
}

function tokensOf({ tokens: all }: Checkpoint, pod: string): readonly ServiceAccountToken[] {
  return all.filter((token) => token.pod === pod);
}

function podIn({ items }: Checkpoint, name: string) {
  const found = items.filter(isPod).find(({ metadata }) => metadata.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

function claimsOf({ token }: ServiceAccountToken): Claims {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Claims;
}

tokens.run();
