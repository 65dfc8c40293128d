import assert from "node:assert/strict";
import { suite } from "uvu";
import { canonicalName, canonicalRepository, repositoryOf } from "../../src/model/image-name.ts";

const test = suite("model/image-name");

const hex = "a".repeat(64);
const cases: readonly (readonly [image: string, repository: string, inFull: string])[] = [
  ["nginx", "nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.25", "nginx", "docker.io/library/nginx:1.25"],
  ["team/app", "team/app", "docker.io/team/app:latest"],
  ["localhost/app:1", "localhost/app", "localhost/app:1"],
  ["localhost:5000/app", "localhost:5000/app", "localhost:5000/app:latest"],
  ["127.0.0.1:5000/a/b:1", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:1"],
  [`r.example/a:1@sha256:${hex}`, "r.example/a", `r.example/a@sha256:${hex}`],
  [`r.example/a@sha256:${hex}`, "r.example/a", `r.example/a@sha256:${hex}`],
  ["index.docker.io/app", "index.docker.io/app", "docker.io/library/app:latest"],
  ["docker.io/app:1", "docker.io/app", "docker.io/library/app:1"],
];

for (const [image, repository, inFull] of cases) {
  test(image, () => {
    assert.equal(repositoryOf(image), repository);
    assert.equal(canonicalName(image), inFull);
    assert.equal(canonicalRepository(repository), repositoryOf(inFull));
  });
}

test.run();
