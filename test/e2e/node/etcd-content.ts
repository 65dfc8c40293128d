import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { cleanEnvironment } from "../../../scripts/install.mjs";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";

/** One key of etcd and what it holds now. */
export interface EtcdEntry {
  readonly key: string;
  readonly value: Buffer;
}

/** Every key of the node's etcd, asked with the apiserver's own certificate. @throws {Error} when it does not answer */
export function readEtcd(node: Node, cluster: Cluster): readonly EtcdEntry[] {
  const secret = cluster
    .objects("token")
    .find(({ kind, metadata }) => kind === "Secret" && metadata.name === "kube-apiserver");
  const data = secret?.["data"] as Readonly<Record<string, string>>;
  const text = (name: string) => Buffer.from(data[name] ?? "", "base64").toString();
  const client = {
    ca: text("etcd-client-ca.crt"),
    cert: text("etcd-client.crt"),
    key: text("etcd-client.key"),
  };
  const child = join(import.meta.dirname, "etcd-keys-child.ts");
  const words = ["-t", `${node.machine().pid}`, "-n", "--", process.execPath, child];
  const { status, stdout, stderr } = spawnSync("nsenter", words, {
    input: JSON.stringify(client),
    encoding: "utf8",
    maxBuffer: 256 << 20,
    env: cleanEnvironment(),
  });
  if (status !== 0) {
    throw new Error(`etcd's keys: ${stderr}${stdout}`);
  }
  const { kvs } = JSON.parse(stdout) as { kvs: readonly { key: string; value?: string }[] };
  return kvs.map(({ key, value = "" }) => ({
    key: Buffer.from(key, "base64").toString(),
    value: Buffer.from(value, "base64"),
  }));
}

/**
 * The key of the record that a byte of etcd's files is in: in the database and in the log alike a value stands behind
 * its key, so that what was replaced or deleted is found too.
 *
 * Pure. Source: etcd 3.6, api/mvccpb/kv.proto, api/etcdserverpb/rpc.proto (PutRequest).
 */
export function etcdKeyBefore(file: Buffer, offset: number): string {
  const start = file.lastIndexOf("/registry/", offset);
  const printable = /^[\x21-\x7e]*/.exec(file.toString("latin1", start, start + 512));
  return start < 0 ? "" : (printable?.[0] ?? "");
}
