import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseUser } from "../../src/kube/kubeconfig-user.ts";
import { rejects } from "../rejects.ts";
import { kubeconfigOf } from "./credential-root.ts";

const test = suite("kube/kubeconfig-user");

const server = "https://a:6443";
const v1 = "client.authentication.k8s.io/v1";
const v1beta1 = "client.authentication.k8s.io/v1beta1";
const exec = { apiVersion: v1, command: "login", interactiveMode: "Never" };

const parse = (user: object, cluster: object = {}) =>
  parseUser(JSON.parse(kubeconfigOf({ server, ...cluster }, user)), "/k/c");

test("an exec plugin is taken with all that kubectl would give it", () => {
  const cluster = {
    "tls-server-name": "kubernetes",
    extensions: [
      { name: "other", extension: 1 },
      { name: "client.authentication.k8s.io/exec", extension: { audience: "x" } },
    ],
  };
  const user = {
    exec: {
      ...exec,
      command: "bin/login",
      args: ["--quiet"],
      env: [{ name: "A", value: "1" }, { name: "B" }],
      interactiveMode: "Always",
      installHint: "install \u001b[1mit\nfrom there",
      provideClusterInfo: true,
    },
  };
  assert.deepEqual(parse(user, cluster).exec, {
    command: "/k/bin/login",
    args: ["--quiet"],
    env: [
      { name: "A", value: "1" },
      { name: "B", value: "" },
    ],
    apiVersion: v1,
    interactiveMode: "Always",
    installHint: "install [1mit from there",
    provideClusterInfo: true,
    cluster: { server, tlsServerName: "kubernetes", config: { audience: "x" } },
  });
});

test("a plugin without a slash is looked up; v1beta1 needs no interactiveMode", () => {
  const { exec: plugin } = parse({ exec: { apiVersion: v1beta1, command: "login" } });
  assert.equal(plugin?.command, "login");
  assert.equal(plugin?.interactiveMode, "IfAvailable");
  assert.equal(plugin?.cluster.config, null);
});

const others: readonly { name: string; user: object }[] = [
  { name: "a token", user: { token: "t" } },
  { name: "a token file", user: { tokenFile: "t" } },
  {
    name: "a client certificate",
    user: { "client-certificate-data": "YQ==", "client-key-data": "YQ==" },
  },
];
for (const { name, user } of others) {
  test(`${name} takes the place of a plugin`, () => {
    assert.equal(parse({ ...user, exec }).exec, undefined);
  });
}

test("impersonation becomes the headers that kubectl sends", () => {
  const user = {
    as: "jane",
    "as-uid": "7",
    "as-groups": ["a", "b"],
    "as-user-extra": { "Example.com/Ünit%": ["x", "y"], none: [] },
  };
  assert.deepEqual(parse(user).impersonation, {
    "impersonate-user": "jane",
    "impersonate-uid": "7",
    "impersonate-group": ["a", "b"],
    "impersonate-extra-example.com%2f%c3%9cnit%25": ["x", "y"],
  });
  assert.deepEqual(parse({}).impersonation, {});
});

const refused: readonly { name: string; user?: object; cluster?: object; field: RegExp }[] = [
  {
    name: "a server that is not verified",
    cluster: { "insecure-skip-tls-verify": true },
    field: /clusters\.cluster\.insecure-skip-tls-verify/,
  },
  {
    name: "a wish that is neither true nor false",
    cluster: { "insecure-skip-tls-verify": "yes" },
    field: /insecure-skip-tls-verify/,
  },
  { name: "a password", user: { username: "u", password: "SECRETMARKER" }, field: /username/ },
  { name: "kubectl's own plugin", user: { "auth-provider": { name: "oidc" } }, field: /auth-prov/ },
  { name: "a token of two lines", user: { token: "SECRETMARKER\nx: y" }, field: /token/ },
  { name: "groups without a user", user: { "as-groups": ["a"] }, field: /user\.as/ },
  { name: "a user of two lines", user: { as: "SECRETMARKER\r\nx: y" }, field: /user\.as/ },
  { name: "groups that are no list", user: { as: "a", "as-groups": "g" }, field: /as-groups/ },
  {
    name: "a plugin without a command",
    user: { exec: { ...exec, command: "" } },
    field: /command/,
  },
  {
    name: "a plugin without a version",
    user: { exec: { ...exec, apiVersion: undefined } },
    field: /apiVersion/,
  },
  {
    name: "a plugin of a version that is gone",
    user: { exec: { ...exec, apiVersion: "client.authentication.k8s.io/v1alpha1" } },
    field: /apiVersion/,
  },
  {
    name: "a v1 plugin without a mode",
    user: { exec: { ...exec, interactiveMode: undefined } },
    field: /interactiveMode/,
  },
  {
    name: "a plugin of an unknown mode",
    user: { exec: { ...exec, interactiveMode: "Sometimes" } },
    field: /interactiveMode/,
  },
  { name: "a variable without a name", user: { exec: { ...exec, env: [{}] } }, field: /env\[0\]/ },
  { name: "arguments that are numbers", user: { exec: { ...exec, args: [1] } }, field: /args/ },
  { name: "a plugin that is text", user: { exec: "login" }, field: /exec/ },
];
for (const { name, user = {}, cluster = {}, field } of refused) {
  test(`${name} is E_KUBECONFIG, with file and field`, async () => {
    const failure = await rejects(() => parse(user, cluster), "E_KUBECONFIG");
    assert.equal(failure.exit, 78);
    assert.match(failure.text.where ?? "", /^\/k\/c, /);
    assert.match(failure.text.where ?? "", field);
    assert.ok(!failure.message.includes("SECRETMARKER"));
  });
}

test.run();
