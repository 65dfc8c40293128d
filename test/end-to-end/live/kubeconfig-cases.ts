import { chmodSync, writeFileSync } from "node:fs";
import { makeCertificate } from "../../kube/certificates.ts";
import type { NodeRoot } from "../node-root.ts";
import { marker } from "../objects.ts";
import type { BadCluster } from "./bad-cluster.ts";
import { encoded, kubeconfig } from "./live-node.ts";

/** A kubeconfig that cannot be used. */
function bad(name: string, text: NonNullable<BadCluster["kubeconfig"]>, says: RegExp): BadCluster {
  const words = ["--node", "n1"];
  return { name, kubeconfig: text, words, code: "E_KUBECONFIG", exit: 78, says, requests: 0 };
}

const ofUser = (user: object) => (port: number) => kubeconfig(port, { user });
const ofCluster = (cluster: object) => (port: number) => kubeconfig(port, { cluster });
const none = {
  "client-certificate-data": undefined,
  "client-key-data": undefined,
  token: undefined,
};

/** A kubeconfig whose credentials come from this script. */
function plugin(name: string, script: string, says: RegExp): BadCluster {
  return {
    name: `the credential plugin ${name}`,
    kubeconfig: (port, node) => {
      install(node, script);
      return kubeconfig(port, { user: { ...none, exec } });
    },
    code: "E_EXEC_PLUGIN",
    exit: 69,
    says,
    requests: 0,
    // A certificate would tell the node's name.
    words: ["--node", "n1"],
  };
}

function install(node: NodeRoot, script: string): void {
  writeFileSync(node.at("etc/kubernetes/plugin"), `#!/bin/sh\n${script}\n`);
  chmodSync(node.at("etc/kubernetes/plugin"), 0o755);
}

const exec = {
  apiVersion: "client.authentication.k8s.io/v1",
  command: "./plugin",
  args: [`--secret=${marker}`],
  env: [{ name: "SECRET", value: marker }],
  interactiveMode: "Never",
};

export const kubeconfigCases: readonly BadCluster[] = [
  bad("there is no kubeconfig", () => undefined, /there is no \/etc\/kubernetes\/kubelet\.conf/),
  bad("the kubeconfig is empty", () => "", /kubelet\.conf/),
  bad("the kubeconfig is no YAML", () => `a: "${marker}\n b: [`, /neither YAML nor JSON/),
  bad("the kubeconfig is noise", () => `\u0000\u0001${marker}`, /kubelet\.conf/),
  bad("the kubeconfig is a list", () => `- ${marker}`, /kubelet\.conf/),
  bad(
    "the kubeconfig's server is plain HTTP",
    ofCluster({ server: `http://127.0.0.1` }),
    /clusters\.cluster\.server/,
  ),
  bad("the kubeconfig's server is none", ofCluster({ server: undefined }), /server.*none/),
  bad(
    "the kubeconfig wants a proxy",
    ofCluster({ "proxy-url": `http://u:${marker}@proxy` }),
    /proxy-url.*a proxy/,
  ),
  bad(
    "the kubeconfig verifies nothing",
    ofCluster({ "insecure-skip-tls-verify": true, "certificate-authority-data": undefined }),
    /insecure-skip-tls-verify/,
  ),
  bad(
    "the kubeconfig logs in with a password",
    ofUser({ username: "u", password: marker }),
    /a password/,
  ),
  bad(
    "the kubeconfig's CA is no certificate",
    ofCluster({ "certificate-authority-data": encoded(marker) }),
    /certificate-authority-data.*no certificate/,
  ),
  bad(
    "the kubeconfig's CA is no base64",
    ofCluster({ "certificate-authority-data": `${marker}!` }),
    /certificate-authority-data/,
  ),
  bad(
    "the kubeconfig's CA file is missing",
    ofCluster({ "certificate-authority-data": undefined, "certificate-authority": "/pki/ca.crt" }),
    /there is no \/pki\/ca\.crt/,
  ),
  bad(
    "the kubeconfig's certificate file is missing",
    ofUser({ ...none, "client-certificate": "/pki/current.pem", "client-key": "/pki/current.pem" }),
    /there is no \/pki\/current\.pem/,
  ),
  bad(
    "the kubeconfig's token file is missing",
    ofUser({ ...none, tokenFile: "/pki/token" }),
    /there is no \/pki\/token/,
  ),
  bad(
    "the kubeconfig's key is another certificate's",
    ofUser({ "client-key-data": encoded(makeCertificate({ name: "x" }).keyPem) }),
    /the key is not that of the certificate/,
  ),
  bad(
    "the kubeconfig's key is cut short",
    ofUser({ "client-key-data": encoded("-----BEGIN PRIVATE KEY-----\nMIG") }),
    /no private key/,
  ),
  bad(
    "the kubeconfig's token breaks the line",
    ofUser({ token: `${marker}\r\nx-evil: 1` }),
    /token.*characters/,
  ),
  plugin("is not there", "", /not found, or not executable/),
  plugin("fails", `echo ${marker}; echo ${marker} >&2; exit 3`, /exit status 3.*not shown/),
  plugin("prints noise", `echo "${marker} }{"`, /prints/),
  plugin(
    "prints an answer of another version",
    `echo '{"kind":"ExecCredential","apiVersion":"v9","status":{"token":"${marker}"}}'`,
    /no ExecCredential of/,
  ),
  plugin(
    "prints no credentials",
    `echo '{"kind":"ExecCredential","apiVersion":"${exec.apiVersion}","status":{}}'`,
    /neither a token nor/,
  ),
  plugin("prints for ever", `yes ${marker}`, /prints more than/),
  plugin("dies by a signal", "kill -9 $$", /SIGKILL/),
].map((one) =>
  one.name.endsWith("is not there")
    ? { ...one, kubeconfig: (port: number) => kubeconfig(port, { user: { ...none, exec } }) }
    : one,
);
