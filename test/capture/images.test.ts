import assert from "node:assert/strict";
import { suite } from "uvu";
import { type ImageUse, imageQuestions, imageUses } from "../../src/capture/image-uses.ts";
import { type ImageAnswer, imageFacts, type KnownImage } from "../../src/capture/images.ts";
import type { CheckpointImage } from "../../src/model/checkpoint.ts";
import { makePod } from "./made.ts";

const test = suite("capture/images");

const sha = (letter: string) => `sha256:${letter.repeat(64)}`;
const place = { namespace: "kube-system", pod: "p", place: "containers/main" };
const use = (name: string, ran?: string): ImageUse => ({ ...place, name, ran });

const absent: ImageAnswer = { kind: "absent" };
const unknown: ImageAnswer = { kind: "unknown" };
const present = (id: string, ...repoDigests: readonly string[]): ImageAnswer => ({
  kind: "present",
  image: { id: sha(id), repoDigests } satisfies KnownImage,
});

interface Case {
  readonly name: string;
  readonly uses: ImageUse;
  readonly answers: Readonly<Record<string, ImageAnswer>>;
  readonly former?: Omit<CheckpointImage, keyof typeof place>;
  /** undefined: no images at all. */
  readonly gives: { readonly digest?: string; readonly id?: string } | undefined;
  readonly warns?: boolean;
}

const ours = "r.example/a";
const theirs = "mirror.example/x/a";
const cases: readonly Case[] = [
  {
    name: "a pulled image is known by the digest that ran",
    uses: use(`${ours}:1`, `${ours}@${sha("a")}`),
    answers: {
      [`${ours}:1`]: present("1", `${ours}@${sha("a")}`),
      [`${ours}@${sha("a")}`]: present("1", `${ours}@${sha("a")}`),
    },
    gives: { digest: `${ours}@${sha("a")}`, id: sha("1") },
  },
  {
    name: "a tag that has moved changes nothing: what ran counts",
    uses: use(`${ours}:1`, `${ours}@${sha("a")}`),
    answers: {
      [`${ours}:1`]: present("2", `${ours}@${sha("b")}`),
      [`${ours}@${sha("a")}`]: present("1", `${ours}@${sha("a")}`),
    },
    gives: { digest: `${ours}@${sha("a")}`, id: sha("1") },
  },
  {
    name: "a tag that is gone changes nothing either",
    uses: use(`${ours}:1`, `${ours}@${sha("a")}`),
    answers: {
      [`${ours}:1`]: absent,
      [`${ours}@${sha("a")}`]: present("1", `${ours}@${sha("a")}`),
    },
    gives: { digest: `${ours}@${sha("a")}`, id: sha("1") },
  },
  {
    name: "the digest of the spec's repository is chosen, where the status tells another's",
    uses: use(`${ours}:1`, `${theirs}@${sha("b")}`),
    answers: {
      [`${ours}:1`]: absent,
      [`${theirs}@${sha("b")}`]: present("1", `${theirs}@${sha("b")}`, `${ours}@${sha("a")}`),
    },
    gives: { digest: `${ours}@${sha("a")}`, id: sha("1") },
  },
  {
    name: "the status' own digest is taken where the spec's repository has none",
    uses: use(`${ours}:1`, `${theirs}@${sha("b")}`),
    answers: {
      [`${ours}:1`]: absent,
      [`${theirs}@${sha("b")}`]: present("1", `other/a@${sha("a")}`, `${theirs}@${sha("b")}`),
    },
    gives: { digest: `${theirs}@${sha("b")}`, id: sha("1") },
  },
  {
    name: "an imported image has an id and no digest",
    uses: use(`${ours}:1`, sha("1")),
    answers: { [`${ours}:1`]: present("1"), [sha("1")]: present("1") },
    gives: { id: sha("1") },
  },
  {
    name: "an image that ran by its id, and has a digest, is known by it",
    uses: use("nginx", sha("1")),
    answers: {
      nginx: present("1", `docker.io/library/nginx@${sha("a")}`),
      [sha("1")]: present("1", `docker.io/library/nginx@${sha("a")}`),
    },
    gives: { digest: `docker.io/library/nginx@${sha("a")}`, id: sha("1") },
  },
  {
    name: "a short name's digest is that of its repository in full",
    uses: use("nginx", sha("1")),
    answers: { nginx: absent, [sha("1")]: present("1", `docker.io/library/nginx@${sha("a")}`) },
    gives: { digest: `docker.io/library/nginx@${sha("a")}`, id: sha("1") },
  },
  {
    name: "of several digests of the repository that of the spec is chosen",
    uses: use(`${ours}@${sha("b")}`, `${ours}@${sha("a")}`),
    answers: {
      [`${ours}@${sha("b")}`]: present("1", `${ours}@${sha("a")}`, `${ours}@${sha("b")}`),
      [`${ours}@${sha("a")}`]: present("1", `${ours}@${sha("a")}`, `${ours}@${sha("b")}`),
    },
    gives: { digest: `${ours}@${sha("b")}`, id: sha("1") },
  },
  {
    name: "of several digests of the repository that of the status is chosen, else the first by name",
    uses: use(`${ours}:1`, `${ours}@${sha("c")}`),
    answers: {
      [`${ours}:1`]: present("1", `${ours}@${sha("c")}`, `${ours}@${sha("b")}`),
      [`${ours}@${sha("c")}`]: present("1", `${ours}@${sha("b")}`, `${ours}@${sha("c")}`),
    },
    gives: { digest: `${ours}@${sha("c")}`, id: sha("1") },
  },
  {
    name: "a pod that has not run yet is known by what its name means",
    uses: use(`${ours}:1`),
    answers: { [`${ours}:1`]: present("1", `${ours}@${sha("b")}`, `${ours}@${sha("a")}`) },
    gives: { digest: `${ours}@${sha("a")}`, id: sha("1") },
  },
  {
    name: "an image that is not there is missing",
    uses: use(`${ours}:1`),
    answers: { [`${ours}:1`]: absent },
    gives: {},
    warns: true,
  },
  {
    name: "an image that ran and is gone is missing",
    uses: use(`${ours}:1`, `${ours}@${sha("a")}`),
    answers: { [`${ours}:1`]: absent, [`${ours}@${sha("a")}`]: absent },
    former: { name: `${ours}:1`, digest: `${ours}@${sha("a")}`, id: sha("1") },
    gives: {},
    warns: true,
  },
  {
    name: "an imported image whose name is gone is missing, for a copy is made by name",
    uses: use(`${ours}:1`, sha("1")),
    answers: { [`${ours}:1`]: absent, [sha("1")]: present("1") },
    gives: { id: sha("1") },
    warns: true,
  },
  {
    name: "an imported image whose name means another: the id is of what a copy would run",
    uses: use(`${ours}:1`, sha("1")),
    answers: { [`${ours}:1`]: present("2"), [sha("1")]: present("1") },
    gives: { id: sha("2") },
    warns: true,
  },
  {
    name: "a status in a form that the runtime does not take is compared with what the name means",
    uses: use("nginx", `quay.example/nginx@${sha("a")}`),
    answers: {
      nginx: present("1", `quay.example/nginx@${sha("a")}`),
      [`quay.example/nginx@${sha("a")}`]: absent,
    },
    gives: { digest: `quay.example/nginx@${sha("a")}`, id: sha("1") },
  },
  {
    name: "where nobody has ever told anything there are no images",
    uses: use(`${ours}:1`, sha("1")),
    answers: { [`${ours}:1`]: unknown, [sha("1")]: unknown },
    gives: undefined,
  },
  {
    name: "where the runtime is silent the newest generation's facts go on",
    uses: use(`${ours}:1`, `${theirs}@${sha("c")}`),
    answers: {},
    former: { name: `${ours}:1`, digest: `${ours}@${sha("a")}`, id: sha("1") },
    gives: { digest: `${ours}@${sha("a")}`, id: sha("1") },
  },
  {
    name: "facts of another name do not go on",
    uses: use(`${ours}:2`, sha("1")),
    answers: {},
    former: { name: `${ours}:1`, digest: `${ours}@${sha("a")}`, id: sha("1") },
    gives: {},
  },
  {
    name: "a digest does not go on where the status tells of another",
    uses: use(`${ours}:1`, `${ours}@${sha("b")}`),
    answers: {},
    former: { name: `${ours}:1`, digest: `${ours}@${sha("a")}`, id: sha("1") },
    gives: {},
  },
  {
    name: "an id does not go on where the status tells of another",
    uses: use(`${ours}:1`, sha("2")),
    answers: {},
    former: { name: `${ours}:1`, id: sha("1") },
    gives: {},
  },
  {
    name: "that an image was missing goes on without a warning",
    uses: use(`${ours}:1`),
    answers: {},
    former: { name: `${ours}:1` },
    gives: {},
  },
];
for (const { name, uses, answers, former, gives, warns = false } of cases) {
  test(name, () => {
    const before = former === undefined ? undefined : [{ ...place, ...former }];
    const facts = imageFacts([uses], new Map(Object.entries(answers)), before);
    const entry = { ...place, name: uses.name, ...gives };
    assert.deepEqual(facts.images, gives === undefined ? undefined : [entry]);
    assert.deepEqual(
      facts.warnings.map(({ code, namespace, name: pod }) => [code, namespace, pod]),
      warns ? [["W_IMAGE_MISSING", place.namespace, place.pod]] : [],
    );
    // In whatever order the runtime tells its digests.
    const reversed = Object.entries(answers).map(([question, answer]): [string, ImageAnswer] => [
      question,
      answer.kind === "present"
        ? {
            kind: "present",
            image: { ...answer.image, repoDigests: answer.image.repoDigests.toReversed() },
          }
        : answer,
    ]);
    assert.deepEqual(imageFacts([uses], new Map(reversed), before), facts);
  });
}

test("silence about one image leaves the others known", () => {
  const uses = [use(`${ours}:1`), { ...use(`${ours}:2`), place: "containers/other" }];
  const answers = new Map([[`${ours}:1`, present("1")]]);
  const { images } = imageFacts(uses, answers, undefined);
  assert.deepEqual(
    images?.map(({ id }) => id),
    [sha("1"), undefined],
  );
});

test("a node without pods has had an answer, or not, as before", () => {
  assert.equal(imageFacts([], new Map(), undefined).images, undefined);
  assert.deepEqual(imageFacts([], new Map(), []).images, []);
});

test("all containers count, and the image volumes that are mounted; each question is asked once", () => {
  const pod = makePod(
    "p",
    {
      initContainers: [{ name: "i", image: "init:1" }],
      containers: [
        { name: "a", image: "app:1", volumeMounts: [{ name: "v", mountPath: "/v" }] },
        { name: "b", image: "app:1" },
        { name: "none" },
      ],
      volumes: [
        { name: "v", image: { reference: "vol:1" } },
        { name: "unmounted", image: { reference: "vol:2" } },
        { name: "c", configMap: { name: "c" } },
      ],
    },
    {},
    {
      initContainerStatuses: [{ name: "i", imageID: "docker-pullable://init@sha256:aa" }],
      containerStatuses: [
        { name: "b", imageID: "" },
        {
          name: "a",
          imageID: sha("1"),
          volumeMounts: [
            { name: "other", mountPath: "/o" },
            {
              name: "v",
              mountPath: "/v",
              volumeStatus: { image: { imageRef: `vol@${sha("a")}` } },
            },
          ],
        },
      ],
    },
  );
  const uses = imageUses([pod]);
  assert.deepEqual(
    uses.map((one) => [one.namespace, one.pod, one.place, one.name, one.ran]),
    [
      ["kube-system", "p", "initContainers/i", "init:1", "init@sha256:aa"],
      ["kube-system", "p", "containers/a", "app:1", sha("1")],
      ["kube-system", "p", "containers/b", "app:1", undefined],
      ["kube-system", "p", "volumes/v", "vol:1", `vol@${sha("a")}`],
    ],
  );
  assert.deepEqual(imageQuestions(uses), [
    "app:1",
    "init:1",
    "init@sha256:aa",
    sha("1"),
    "vol:1",
    `vol@${sha("a")}`,
  ]);
});

test.run();
