import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const node = "n1";

/** A directory in memory that everything of one test file happens in; removed with it. */
export interface Workshop extends Disposable {
  readonly dir: string;
  /** Directories of objects: two states of one small cluster. */
  readonly objects: { readonly old: string; readonly new: string };
  /** A path that nothing has yet. */
  readonly fresh: (name: string) => string;
}

/** The place is memory because `restore` refuses anything else. */
export function openWorkshop(): Workshop {
  const dir = realpathSync(mkdtempSync("/dev/shm/blackstart-crash-"));
  const objects = { old: join(dir, "old"), new: join(dir, "new") };
  for (const state of ["old", "new"] as const) {
    mkdirSync(objects[state]);
    writeFileSync(join(objects[state], "objects.json"), JSON.stringify(clusterOf(state)));
  }
  let count = 0;
  return {
    dir,
    objects,
    fresh: (name) => join(dir, `${name}-${count++}`),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** A node's root with what an installation leaves: configuration, directories, others' manifests. */
export function makeRoot(root: string): void {
  for (const path of ["etc/kubernetes/manifests", "etc/blackstart", "var/lib", "run"]) {
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
  }
  const config = "swap: allow\nretention: {generations: 1}\n";
  writeFileSync(join(root, "etc/blackstart/config.yaml"), config);
  const manifests = join(root, "etc/kubernetes/manifests");
  writeFileSync(join(manifests, "foreign.yaml"), "kind: Pod\n");
  writeFileSync(join(manifests, "blackstart_x_foreign.json"), "{}\n");
  writeFileSync(join(manifests, ".blackstart-foreign"), "hidden\n");
  symlinkSync("/nowhere/else.json", join(manifests, "foreign-dangling.json"));
  symlinkSync("foreign.yaml", join(manifests, "foreign-link.yaml"));
}

/** Copies a root with owners, modes, times and links. */
export function copyRoot(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`cp: ${stderr}`);
  }
}

/**
 * Two pods with two volumes each; in the old state there is a third. The new state changes a value, adds
 * a key and takes one away, so that an update has every kind of step.
 */
function clusterOf(state: "old" | "new") {
  const isNew = state === "new";
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const pod = (name: string, spec: object) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "a",
      uid: `00000000-0000-4000-8000-00000000000${name.length}`,
      annotations: { "blackstart.dev/checkpoint": "true" },
    },
    spec: { nodeName: node, automountServiceAccountToken: false, ...spec },
  });
  const container = (more: object) => ({ name: "c", image: "registry.example/c:1", ...more });
  const items = [
    { key: "crt", path: "tls/server/crt" },
    { key: "key", path: "tls/key", mode: 0o400 },
    { key: isNew ? "added" : "dropped", path: isNew ? "added" : "dropped" },
  ];
  const gone = pod("gone", {
    containers: [container({ volumeMounts: [{ name: "v", mountPath: "/v" }] })],
    volumes: [{ name: "v", configMap: { name: "settings" } }],
  });
  return {
    apiVersion: "v1",
    kind: "List",
    items: [
      pod("web", {
        securityContext: { fsGroup: 2000 },
        containers: [
          container({
            env: [
              { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "tls", key: "password" } } },
            ],
            volumeMounts: [
              { name: "tls", mountPath: "/tls" },
              { name: "mixed", mountPath: "/mixed" },
            ],
          }),
        ],
        volumes: [
          { name: "tls", secret: { secretName: "tls", items } },
          {
            name: "mixed",
            projected: {
              sources: [
                { configMap: { name: "settings" } },
                { secret: { name: "tls", items: [{ key: "crt", path: "deep/er/crt" }] } },
              ],
            },
          },
        ],
      }),
      pod("agent", {
        securityContext: { runAsUser: 1000 },
        containers: [
          container({
            volumeMounts: [
              { name: "conf", mountPath: "/conf" },
              { name: "key", mountPath: "/conf/nested" },
            ],
          }),
        ],
        volumes: [
          { name: "conf", configMap: { name: "settings" } },
          { name: "key", secret: { secretName: "tls", defaultMode: 0o440 } },
        ],
      }),
      ...(isNew ? [] : [gone]),
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "tls", namespace: "a" },
        data: {
          crt: base64("certificate"),
          key: base64(`key ${state}`),
          password: base64(`password ${state}`),
          ...(isNew ? { added: base64("added") } : { dropped: base64("dropped") }),
        },
      },
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "settings", namespace: "a" },
        data: { mode: state, same: "same" },
      },
    ],
  };
}
