/**
 * The repository that an image's name means, with its registry: `docker.io/library/nginx` for `nginx:1`.
 *
 * Pure. Source: github.com/distribution/reference v0.6.0 `normalize.go: splitDockerDomain`.
 */
export function repositoryOf(name: string): string {
  const bare = name.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  const [first = "", ...rest] = bare.split("/");
  const isRegistry =
    rest.length > 0 && (/[.:]/.test(first) || first === "localhost" || /[A-Z]/.test(first));
  const registry = isRegistry ? first : "docker.io";
  const path = isRegistry ? rest.join("/") : bare;
  if (registry !== "docker.io" && registry !== "index.docker.io") {
    return `${registry}/${path}`;
  }
  return `docker.io/${path.includes("/") ? path : `library/${path}`}`;
}

/** Pure. The `sha256:…` of `repository@sha256:…`; undefined for a tag, a bare name or an id. */
export function namesDigest(name: string): string | undefined {
  return /@(sha\d+:[0-9a-f]+)$/.exec(name)?.[1];
}
