import { base64, configMap, node, pod, secret } from "../objects.ts";
import type { BadObjects } from "./bad-objects.ts";
import { core, digits, secretValue } from "./secrets.ts";

const value = base64(secretValue("value"));

/** An opened checkpoint that is wrong. */
export const badDocuments: readonly BadObjects[] = [
  {
    tokens: [
      {
        namespace: "kube-system",
        pod: "web",
        audience: "",
        token: Number(digits),
        expiresAt: core,
      },
    ],
  },
  {
    tokens: [{ namespace: "kube-system", pod: "web", audience: "", token: core, expiresAt: core }],
  },
  { tokens: [core] },
  { tokens: core },
  { items: [core] },
  { items: [{ ...secret(), data: { password: Number(digits) } }] },
  { items: [{ ...secret(), data: core }] },
  { items: [{ apiVersion: "v1", kind: "Pod", metadata: core, spec: core }] },
  { pods: [core] },
  { metadata: { node: Number(digits), capturedAt: core, source: core } },
  { unprojectable: core },
].map((wrong) => ({
  name: `a checkpoint's document with other ${Object.keys(wrong)}`,
  text: JSON.stringify({ ...document(), ...wrong }),
}));

/** A document as a JOSE tool gives it, with a token and secrets. */
export function document() {
  const source = { serviceAccountToken: { path: "token" } };
  const volumes = [
    { name: "secret", secret: { secretName: "web" } },
    { name: "token", projected: { sources: [source] } },
  ];
  const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
  const [first] = pod().spec.containers;
  return {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "n1", capturedAt: "2026-01-02T03:04:05.000Z", source: "apiserver" },
    pods: [{ namespace: "kube-system", name: "web" }],
    unprojectable: [],
    tokens: [
      {
        namespace: "kube-system",
        pod: "web",
        audience: "",
        token: secretValue("token"),
        expiresAt: "2026-01-03T03:04:05.000Z",
      },
    ],
    items: [
      pod({ spec: { volumes, containers: [{ ...first, volumeMounts }] } }),
      secret({ data: { password: value, key: value } }),
      configMap({ level: "info" }),
      node(),
    ],
  };
}
