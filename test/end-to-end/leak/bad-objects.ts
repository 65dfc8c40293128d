import { base64, configMap, node, pod, secret } from "../objects.ts";
import { core, digits, secretValue } from "./secrets.ts";

/** Input that holds secrets and is wrong, so that a message is tempted to quote it. */
export interface BadObjects {
  readonly name: string;
  /** Of the file: its ending decides nothing. */
  readonly text: string | Uint8Array;
}

const value = base64(secretValue("value"));
const list = (...items: readonly unknown[]) =>
  JSON.stringify({ apiVersion: "v1", kind: "List", items: [...items, node()] });
const with_ = (data: unknown, more: object = {}) =>
  list(pod(), { ...secret(), data, ...more }, configMap());
const volume = (source: object) =>
  list(
    pod({ spec: { volumes: [{ name: "secret", ...source }] } }),
    secret({ data: { password: value, key: value } }),
    configMap(),
  );
const container = (more: object) =>
  list(
    pod({ spec: { volumes: [], containers: [{ name: "c", image: "i", ...more }] } }),
    secret({ data: { password: value, key: value } }),
    configMap(),
  );
const fromSecret = { valueFrom: { secretKeyRef: { name: "web", key: "password" } } };
const environment = (password: string) =>
  list(
    pod({
      spec: {
        volumes: [],
        containers: [{ name: "c", image: "i", env: [{ name: "A", ...fromSecret }] }],
      },
    }),
    secret({ data: { password } }),
  );
const yaml = (lines: string) => `apiVersion: v1
kind: Secret
metadata: {name: web, namespace: kube-system}
${lines}
`;

export const badObjects: readonly BadObjects[] = [
  { name: "a value that is not base64", text: with_({ password: `${core}!`, key: value }) },
  {
    name: "a value that is a number",
    text: `${with_({ password: 1 }).replace('"password":1', `"password":${digits}`)}`,
  },
  { name: "a value that is a map", text: with_({ password: { [core]: core } }) },
  { name: "a value that is a list", text: with_({ password: [core, digits] }) },
  { name: "data that is text", text: with_(core) },
  { name: "data that is a list", text: with_([core]) },
  {
    name: "stringData that is a number",
    text: with_({}, { stringData: { password: Number(digits) } }),
  },
  { name: "a value that is null", text: with_({ password: null, key: value }) },
  {
    name: "a secret given twice, with two values",
    text: list(
      pod(),
      secret({ data: { password: value } }),
      secret({ data: { password: base64(core) } }),
      configMap(),
    ),
  },
  {
    name: "a value for the environment that is not UTF-8",
    text: environment(base64(Buffer.concat([Buffer.from(core), Buffer.from([0xff])]))),
  },
  { name: "a value for the environment with a NUL", text: environment(base64(`${core}\0`)) },
  {
    name: "a value that is too long for the environment",
    text: environment(base64(core.repeat(9_000))),
  },
  { name: "a secret that is too large", text: environment(base64(core.repeat(60_000))) },
  {
    name: "a config map that has a key twice",
    text: list(
      pod({ spec: { volumes: [{ name: "secret", configMap: { name: "web" } }] } }),
      secret(),
      { ...configMap({ level: core }), binaryData: { level: value } },
    ),
  },
  {
    name: "a mode that is text",
    text: volume({ secret: { secretName: "web", defaultMode: core } }),
  },
  {
    name: "a mode that is a large number",
    text: volume({ secret: { secretName: "web", defaultMode: Number(digits) } }),
  },
  { name: "items that are text", text: volume({ secret: { secretName: "web", items: core } }) },
  {
    name: "optional that is text",
    text: volume({ secret: { secretName: "web", optional: core } }),
  },
  { name: "a volume kind that is text", text: volume({ secret: core }) },
  {
    name: "credentials of a volume in its attributes",
    text: volume({ csi: { driver: "x", volumeAttributes: { password: core } } }),
  },
  {
    name: "credentials in a flexVolume",
    text: volume({
      flexVolume: { driver: 1, options: { password: core }, secretRef: { name: "web" } },
    }),
  },
  {
    name: "a variable whose value is a number",
    text: container({ env: [{ name: "A", value: Number(digits) }] }),
  },
  {
    name: "a variable whose value is a map",
    text: container({ env: [{ name: "A", value: { a: core } }] }),
  },
  {
    name: "a variable with an impossible name and a value",
    text: container({ env: [{ name: "A=B", value: core }] }),
  },
  { name: "a variable that is text", text: container({ env: [core] }) },
  { name: "an argument that is a number", text: container({ args: [Number(digits)] }) },
  { name: "a port that is text", text: container({ ports: [{ containerPort: core }] }) },
  {
    name: "a probe's header of another type",
    text: container({
      livenessProbe: {
        httpGet: { port: core, httpHeaders: [{ name: "Authorization", value: Number(digits) }] },
      },
    }),
  },
  {
    name: "a limit that is no quantity",
    text: container({
      resources: { limits: { cpu: core } },
      env: [{ name: "A", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } }],
    }),
  },
  {
    name: "a group that is text",
    text: list(pod({ spec: { securityContext: { fsGroup: core } } }), secret()),
  },
  {
    name: "a group that is too large",
    text: list(pod({ spec: { securityContext: { fsGroup: Number(digits) } } }), secret()),
  },
  {
    name: "a reference that leads nowhere, beside values",
    text: list(
      pod(),
      configMap(),
      secret({ metadata: { name: "other", namespace: "kube-system" }, data: { password: value } }),
    ),
  },
  { name: "a key that is missing, beside values", text: with_({ other: value }) },
  {
    name: "a last-applied annotation with the values",
    text: list(
      pod({
        metadata: {
          annotations: { "kubectl.kubernetes.io/last-applied-configuration": core.repeat(9_000) },
        },
      }),
      secret(),
    ),
  },

  {
    name: "JSON that is cut off in a value",
    text:
      with_({ password: value })
        .replace(/"password":"[^"]{20}/, (found) => `${found}\u0000`)
        .split("\0")[0] ?? "",
  },
  { name: "JSON with a bare word, and no YAML", text: `{"password":${core}, "a": @b}` },
  { name: "JSON with a bare number, and no YAML", text: `{"password":0${digits}, "a": @b}` },
  {
    name: "JSON with a bare word",
    text: with_({ password: 1 }).replace('"password":1', `"password":${core}`),
  },
  {
    name: "JSON with a comma too many",
    text: with_({ password: core }).replace(`"${core}"`, `"${core}",`),
  },
  {
    name: "JSON with a line end in a string",
    text: with_({ password: core }).replace(core, `${core}\n${core}`),
  },
  { name: "JSON with a wrong escape", text: with_({ password: core }).replace(core, `${core}\\x`) },
  { name: "JSON followed by text", text: `${with_({ password: core })} ${core}` },
  { name: "a text alone", text: core },
  { name: "a quoted text alone", text: JSON.stringify(core) },
  { name: "a number alone", text: digits },
  { name: "a list of texts", text: JSON.stringify([core, core]) },
  {
    name: "items that are texts",
    text: JSON.stringify({ apiVersion: "v1", kind: "List", items: [core] }),
  },
  {
    name: "a kind that is a number",
    text: JSON.stringify({ apiVersion: core, kind: Number(digits) }),
  },

  { name: "YAML with a key twice", text: yaml(`data: {password: ${core}, password: ${core}}`) },
  { name: "YAML with an open quote", text: yaml(`data:\n  password: "${core}`) },
  { name: "YAML with a tab", text: yaml(`data:\n\tpassword: ${core}`) },
  { name: "YAML with an alias of nothing", text: yaml(`data: {password: *${core}}`) },
  { name: "YAML with an unknown tag", text: yaml(`data: {password: !${core} x}`) },
  { name: "YAML with a tag that does not fit", text: yaml(`data: {password: !!int ${core}}`) },
  { name: "YAML with a wrong escape", text: yaml(`data: {password: "${core}\\q"}`) },
  { name: "YAML with a colon too many", text: yaml(`data:\n  password: ${core}: ${core}`) },
  { name: "YAML with a map as a key", text: yaml(`data:\n  ? {a: ${core}}\n  : ${core}`) },
  { name: "YAML with a number too large", text: yaml(`data: {password: ${digits.repeat(30)}}`) },
  { name: "YAML with an infinite number", text: yaml(`data: {password: .inf, key: ${core}}`) },
  { name: "YAML with text after a separator", text: `${yaml("data: {}")}--- ${core}\n` },
  { name: "YAML with a control character", text: yaml(`data: {password: ${core}\u0001}`) },
  { name: "YAML with a binary that is none", text: yaml(`data: {password: !!binary "${core}!"}`) },
  { name: "YAML with a merge of text", text: yaml(`data:\n  <<: ${core}`) },
  { name: "YAML with a directive", text: `%${core} 1\n---\n${yaml("data: {}")}` },
  {
    name: "YAML that nests too deeply",
    text: yaml(`data: ${"[".repeat(600)}${core}${"]".repeat(600)}`),
  },
  {
    name: "bytes that are not UTF-8",
    text: Buffer.concat([Buffer.from(core), Buffer.from([0xff, 0xfe]), Buffer.from(core)]),
  },
  { name: "UTF-16", text: Buffer.from(`\ufeff${yaml(`data: {password: ${core}}`)}`, "utf16le") },
];
