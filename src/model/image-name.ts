/** `registry:5000/team/app:1@sha256:…`: what follows the repository, if anything. */
const tag = /:[\w][\w.-]{0,127}$/;
const digest = /@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/**
 * Pure. The repository of an image, spelled as in the name: without tag and digest.
 *
 * Source: Kubernetes v1.37.2 `pkg/kubelet/images/pullmanager/image_pull_policies.go: trimImageTagDigest`.
 */
export function repositoryOf(image: string): string {
  return image.replace(digest, "").replace(tag, "");
}

/**
 * Pure. The name in full, as runtimes list it: `nginx` is `docker.io/library/nginx:latest`.
 *
 * Source: github.com/distribution/reference v0.6.0 `normalize.go: ParseDockerRef`: of a name with a tag and a digest
 * the digest stays.
 */
export function canonicalName(image: string): string {
  const repository = repositoryOf(image);
  const [hash] = digest.exec(image) ?? [];
  const [version = ":latest"] = tag.exec(image.replace(digest, "")) ?? [];
  return canonicalRepository(repository) + (hash ?? version);
}

/** Pure. The repository in full: `nginx` is `docker.io/library/nginx`. */
export function canonicalRepository(repository: string): string {
  const at = repository.indexOf("/");
  const first = repository.slice(0, Math.max(at, 0));
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const host = isHost ? first.replace(/^index\.docker\.io$/, "docker.io") : "docker.io";
  const path = isHost ? repository.slice(at + 1) : repository;
  return host === "docker.io" && !path.includes("/")
    ? `${host}/library/${path}`
    : `${host}/${path}`;
}
