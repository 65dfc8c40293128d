import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { cacheDir } from "../binaries.ts";

/** A container image of one layer. */
export interface ImageContent {
  /** Path inside → file outside; copied, mode 0755. */
  readonly programs: Readonly<Record<string, string>>;
  /** Path inside → target. */
  readonly links?: Readonly<Record<string, string>>;
  /** Path inside → text; mode 0644. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Paths inside, mode 1777. */
  readonly shared?: readonly string[];
  readonly command?: readonly string[];
}

/**
 * Makes an image as `docker save` writes it, once: it is kept under a name that follows from its content.
 *
 * @param name  with its tag, `kube:lab`
 * @returns absolute path of the tar
 */
export function writeImageArchive(name: string, content: ImageContent): string {
  const file = join(cacheDir(), "images", `${digest(name, content)}.tar`);
  if (existsSync(file)) {
    return file;
  }
  mkdirSync(dirname(file), { recursive: true });
  const dir = mkdtempSync(`${file}.`);
  try {
    const layer = join(dir, "layer");
    layOut(layer, content);
    const image = join(dir, "image");
    mkdirSync(image);
    tar(join(image, "layer.tar"), layer);
    const sum = createHash("sha256")
      .update(readFileSync(join(image, "layer.tar")))
      .digest("hex");
    const config = {
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Env: ["PATH=/bin"], Cmd: content.command ?? [] },
      rootfs: { type: "layers", diff_ids: [`sha256:${sum}`] },
    };
    const manifest = [{ Config: "config.json", RepoTags: [name], Layers: ["layer.tar"] }];
    writeFileSync(join(image, "config.json"), JSON.stringify(config));
    writeFileSync(join(image, "manifest.json"), JSON.stringify(manifest));
    tar(join(dir, "image.tar"), image);
    renameSync(join(dir, "image.tar"), file);
  } finally {
    rmSync(dir, { recursive: true });
  }
  return file;
}

function layOut(layer: string, { programs, links = {}, texts = {}, shared = [] }: ImageContent) {
  const place = (path: string) => {
    mkdirSync(dirname(join(layer, path)), { recursive: true });
    return join(layer, path);
  };
  for (const [path, source] of Object.entries(programs)) {
    copyFileSync(source, place(path));
    chmodSync(join(layer, path), 0o755);
  }
  for (const [path, target] of Object.entries(links)) {
    symlinkSync(target, place(path));
  }
  for (const [path, text] of Object.entries(texts)) {
    writeFileSync(place(path), text);
  }
  for (const path of shared) {
    mkdirSync(place(path));
    chmodSync(join(layer, path), 0o1777);
  }
}

/** The same bytes from the same files, whoever runs it and whenever. */
function tar(file: string, dir: string): void {
  const equal = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  const run = spawnSync("tar", [...equal, "-cf", file, "-C", dir, "."], { encoding: "utf8" });
  if (run.status !== 0) {
    throw new Error(`tar ${file}: ${run.error?.message ?? run.stderr}`);
  }
}

/** A built program's path names what it was built from; another's does not, so it is read. */
function digest(name: string, content: ImageContent): string {
  const hash = createHash("sha256").update(JSON.stringify([name, content]));
  for (const source of Object.values(content.programs)) {
    if (!source.startsWith(cacheDir())) {
      hash.update(readFileSync(source));
    }
  }
  return `${name.replace(":", "-")}-${hash.digest("hex").slice(0, 16)}`;
}
