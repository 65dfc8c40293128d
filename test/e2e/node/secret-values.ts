import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";

/** Shorter ones occur by chance. */
const shortest = 12;

/**
 * Every Secret value of the cluster and every token in the node's memory, in the forms in which they could appear in
 * a JSON document: as they are, escaped, in base64.
 *
 * @returns form → where it is from
 */
export function secretValues(node: Node, cluster: Cluster): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const add = (from: string, bytes: Buffer) => {
    const text = bytes.toString("latin1");
    if (text.length >= shortest) {
      values.set(text, from);
      values.set(JSON.stringify(text).slice(1, -1), from);
      values.set(bytes.toString("base64"), from);
    }
  };
  for (const { kind, metadata, ...rest } of cluster.objects("token")) {
    if (kind === "Secret") {
      const data = (rest["data"] ?? {}) as Readonly<Record<string, string>>;
      for (const [key, value] of Object.entries(data)) {
        add(`Secret ${metadata.name}, ${key}`, Buffer.from(value, "base64"));
      }
    }
  }
  const pods = node.path("/run/blackstart/pods");
  for (const name of readdirSync(pods, { recursive: true, encoding: "utf8" })) {
    const file = join(pods, name);
    if (name.endsWith("/token") && statSync(file).isFile()) {
      add(`token ${name}`, readFileSync(file));
    }
  }
  return values;
}

/** Where the secrets in a text are from. */
export function secretsIn(text: string, values: ReadonlyMap<string, string>): readonly string[] {
  return [...values].flatMap(([value, from]) => (text.includes(value) ? [from] : []));
}
