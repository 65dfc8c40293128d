import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";
import type { Marks } from "./secret-marks.ts";

/** A line from the middle of each private key of the control plane. */
export function privateKeysOf(cluster: Cluster): Marks {
  const lines = new Map<string, string>();
  for (const { kind, metadata, ...rest } of cluster.objects("token")) {
    const data = kind === "Secret" ? (rest["data"] as Readonly<Record<string, string>>) : {};
    for (const [key, value] of Object.entries(data ?? {})) {
      const pem = Buffer.from(value, "base64").toString();
      const line = (pem.split("\n")[2] ?? "").slice(0, 48);
      // One key may be in two Secrets.
      if (pem.includes("PRIVATE KEY") && ![...lines.values()].includes(line)) {
        lines.set(`key ${metadata.name}/${key}`, line);
      }
    }
  }
  return lines;
}

/**
 * The end of each token that lies in our memory on the node, which is its signature's.
 *
 * @param boot  tells it from those of another boot
 */
export function tokensOf(node: Node, boot: string): Marks {
  const top = node.path("/run/blackstart/pods");
  return new Map(
    readdirSync(top, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith("/..data/token"))
      .map((name) => [
        `token ${boot} ${name.replace("/..data/token", "")}`,
        readFileSync(join(top, name), "utf8").trim().slice(-48),
      ]),
  );
}
