import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { account } from "./registry.ts";

/** Source: https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md */
const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
};

/**
 * Pushes an image of `writeImageArchive`.
 *
 * Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md (POST then PUT; manifest last)
 *
 * @param url  of the registry: `http://127.0.0.1:PORT`
 * @param archive  absolute path of the tar
 * @param repository  `lab/app`
 * @returns the digest of its manifest, `sha256:…`
 */
export async function pushImage(
  url: string,
  archive: string,
  repository: string,
  tag: string,
): Promise<string> {
  const blob = async (mediaType: string, member: string) => {
    const bytes = memberOf(archive, member);
    const digest = sha256(bytes);
    const begun = await ask(url, "POST", `/v2/${repository}/blobs/uploads/`);
    const place = new URL(begun.headers.get("location") ?? "", url);
    place.searchParams.set("digest", digest);
    await ask(url, "PUT", `${place.pathname}${place.search}`, "application/octet-stream", bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: await blob(types.config, "./config.json"),
      layers: [await blob(types.layer, "./layer.tar")],
    }),
  );
  await ask(url, "PUT", `/v2/${repository}/manifests/${tag}`, types.manifest, manifest);
  return sha256(manifest);
}

/** The header by which `account` shows who it is. */
export function authorization(): Readonly<Record<string, string>> {
  return { authorization: `Basic ${btoa(`${account.user}:${account.password}`)}` };
}

async function ask(url: string, method: string, path: string, type?: string, body?: Buffer) {
  const headers = { ...authorization(), ...(type === undefined ? {} : { "content-type": type }) };
  const sent = body === undefined ? {} : { body: new Uint8Array(body) };
  const signal = AbortSignal.timeout(60_000);
  const answer = await fetch(`${url}${path}`, { method, headers, signal, ...sent });
  if (!answer.ok) {
    throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer;
}

function memberOf(archive: string, member: string): Buffer {
  const { status, stdout, stderr } = spawnSync("tar", ["-xOf", archive, member], {
    maxBuffer: 256 << 20,
  });
  if (status !== 0) {
    throw new Error(`tar ${archive} ${member}: ${stderr.toString()}`);
  }
  return stdout;
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
