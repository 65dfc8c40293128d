import { base64 } from "../objects.ts";
import { core, digits } from "./secrets.ts";

/** A file that holds a secret in the wrong place or form. */
interface BadFile {
  readonly name: string;
  readonly text: string;
}

/** In the place of the 32 bytes of a key. */
export const badKeys: readonly BadFile[] = [
  { name: "is too long", text: `${core}${core}` },
  { name: "is too short", text: core.slice(0, 30) },
  { name: "is hexadecimal", text: Buffer.from(core).toString("hex") },
  { name: "has a line end", text: `${core}\n${digits}` },
];

const ec = {
  kty: "EC",
  crv: "P-256",
  x: "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis",
  y: "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE",
};

/** In the place of a public break-glass key. */
export const badRecipients: readonly BadFile[] = [
  { name: "the private key", text: JSON.stringify({ ...ec, d: core }) },
  { name: "a symmetric key", text: JSON.stringify({ kty: "oct", k: core }) },
  { name: "a key with other numbers", text: JSON.stringify({ ...ec, x: core }) },
  { name: "a key of another kind", text: JSON.stringify({ kty: core, n: core, d: core }) },
  { name: "a key that is cut off", text: JSON.stringify({ ...ec, d: core }).slice(0, -8) },
  { name: "a PEM", text: `-----BEGIN PRIVATE KEY-----\n${core}\n-----END PRIVATE KEY-----\n` },
];

const kubeconfig = (user: string, cluster = "server: https://127.0.0.1:1") =>
  `current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {${cluster}}}]
users: [{name: x, user: {${user}}}]
`;

/** In the place of the kubelet's kubeconfig. */
export const badKubeconfigs: readonly BadFile[] = [
  { name: "with a token", text: kubeconfig(`token: ${core}`) },
  { name: "with a token that is a list", text: kubeconfig(`token: [${core}]`) },
  { name: "with a token that is a number", text: kubeconfig(`token: ${digits}`) },
  { name: "with a key that is not base64", text: kubeconfig(`client-key-data: "${core}!"`) },
  {
    name: "with a key and certificate that are none",
    text: kubeconfig(`client-key-data: ${base64(core)}, client-certificate-data: ${base64(core)}`),
  },
  { name: "with a map as a key", text: `${kubeconfig("")}? {token: ${core}}\n: ${core}\n` },
  { name: "with an unknown tag", text: kubeconfig(`token: !${core} ${core}`) },
  { name: "with a password", text: kubeconfig(`username: x, password: ${core}`) },
  {
    name: "with a password in its server",
    text: kubeconfig("", `server: "https://x:${core}@127.0.0.1:1"`),
  },
  { name: "that is cut off", text: kubeconfig(`token: "${core}`) },
  { name: "that is JSON with a bare word", text: `{"users":[{"user":{"token":${core}}}]}` },
  { name: "that is JSON and cut off", text: `{"users":[{"user":{"token":"${core}` },
];
