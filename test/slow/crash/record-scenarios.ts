import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { recordName } from "../../../src/model/pull-record.ts";
import { manifestDir, runDir } from "./kubelet-view.ts";
import { copyRoot, makeRoot, node } from "./node-root.ts";
import type { Bench, Scenario } from "./scenario.ts";
import { prepare } from "./store-scenarios.ts";
import { namesIn } from "./store-view.ts";

const kept = "var/lib/kubelet/image_manager";
const aside = "var/lib/blackstart/pull-records";

/** A record: its file in either place, under the root, and what it holds. */
interface Known {
  readonly kept: string;
  readonly aside: string;
  readonly text: string;
}

const pulledOf = (id: string, more: string): string =>
  JSON.stringify({
    kind: "ImagePulledRecord",
    imageRef: id,
    credentialMapping: { "registry.example/c": { kubernetesSecrets: [{ name: more }] } },
  });

/** In the way of a restore: two images' records, and that of a begun pull. */
const inTheWay: readonly Known[] = [
  ...["sha256:1", "sha256:2"].map((id) => ({
    kept: `${kept}/pulled/${recordName(id)}`,
    aside: `${aside}/${recordName(id)}`,
    text: pulledOf(id, "old"),
  })),
  {
    kept: `${kept}/pulling/${recordName("registry.example/c:1")}`,
    aside: `${aside}/pulling-${recordName("registry.example/c:1")}`,
    text: JSON.stringify({ kind: "ImagePullIntent", image: "registry.example/c:1" }),
  },
];
/** In nobody's way. */
const other: Known = {
  kept: `${kept}/pulled/${recordName("sha256:3")}`,
  aside: `${aside}/${recordName("sha256:3")}`,
  text: JSON.stringify({ kind: "ImagePulledRecord", imageRef: "sha256:3" }),
};
/** Aside, and written anew by the kubelet since. */
const anew: Known = {
  kept: `${kept}/pulled/${recordName("sha256:4")}`,
  aside: `${aside}/${recordName("sha256:4")}`,
  text: pulledOf("sha256:4", "new"),
};

/** Pull records on their way: aside at a cold boot, back by hand. */
export async function recordScenarios(bench: Bench): Promise<Scenario[]> {
  const first = bench.fresh("records");
  makeRoot(first);
  await prepare(bench, first, ["key", "init", "--slot", "plain"]);
  await prepare(bench, first, ["capture", "--from", bench.objects.old, "--node", node]);
  rmSync(join(first, runDir), { recursive: true });
  for (const record of [...inTheWay, other]) {
    put(first, record.kept, record.text);
  }

  const standing = bench.fresh("records-aside");
  copyRoot(first, standing);
  await prepare(bench, standing, ["restore", "--force"]);
  // Links are another scenario's: not synced, they would multiply what a power cut may leave.
  rmSync(join(standing, manifestDir), { recursive: true });
  mkdirSync(join(standing, manifestDir));
  put(standing, anew.kept, anew.text);
  put(standing, anew.aside, pulledOf("sha256:4", "old"));

  return [
    recordScenario({
      name: "a restore that sets records aside",
      template: first,
      command: ["restore", "--force"],
      said: /restore 5\/5 project: (\d+) of \1 pods/,
      ends: inTheWay.map(({ aside: place }) => place),
      gone: [...inTheWay.map(({ kept: place }) => place), anew.kept, anew.aside],
      all: [...inTheWay, other],
    }),
    recordScenario({
      name: "a retire that puts records back",
      template: standing,
      command: ["restore", "--retire"],
      said: /restore --retire: /,
      ends: [...inTheWay, anew].map(({ kept: place }) => place),
      gone: [...inTheWay, anew].map(({ aside: place }) => place),
      all: [...inTheWay, other, anew],
    }),
  ];
}

interface Sketch {
  readonly name: string;
  readonly template: string;
  readonly command: readonly string[];
  readonly said: RegExp;
  /** Where records are in the end, and where there is nothing. */
  readonly ends: readonly string[];
  readonly gone: readonly string[];
  readonly all: readonly Known[];
}

function recordScenario({ name, template, command, said, ends, gone, all }: Sketch): Scenario {
  const judge = (root: string): string[] => all.flatMap((record) => judgeRecord(root, record));
  const judgeEnd = (root: string): string[] => [
    ...ends.filter((place) => !existsSync(join(root, place))).map((place) => `no ${place}`),
    ...gone.filter((place) => existsSync(join(root, place))).map((place) => `still ${place}`),
  ];
  return {
    name,
    template,
    words: (root) => [...command, "--root", root],
    about: (path) => path.startsWith(`/${kept}`) || path.startsWith(`/${aside}`),
    isAcknowledged: ({ stderr }) => said.test(stderr),
    judge: (root, { effect, acknowledged }) => [
      ...judge(root),
      ...(acknowledged && effect === "KILL" ? judgeEnd(root) : []),
    ],
    judgeAgain: (root, again) => [
      ...(again.status === 0 ? [] : [`the second run ended with ${again.status}: ${again.stderr}`]),
      ...judge(root),
      ...judgeEnd(root),
      ...[`${kept}/pulled`, `${kept}/pulling`, aside].flatMap((dir) =>
        (namesIn(join(root, dir)) ?? [])
          .filter((left) => left.startsWith("."))
          .map((left) => `${dir}/${left} is left`),
      ),
    ],
    judgeKept: judge,
  };
}

/** Whole where it is, and somewhere; what the kubelet has is what it wrote. */
function judgeRecord(root: string, record: Known): string[] {
  const here = textOf(join(root, record.kept));
  const there = textOf(join(root, record.aside));
  const isStale = record === anew && there === pulledOf("sha256:4", "old");
  return [
    ...(here === undefined && (there === undefined || record === anew || record === other)
      ? [`${record.kept} is lost`]
      : []),
    ...(here === undefined || here === record.text ? [] : [`${record.kept} is not what it was`]),
    ...(there === undefined || there === record.text || isStale
      ? []
      : [`${record.aside} is not what it was`]),
  ];
}

function textOf(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function put(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o700 });
  writeFileSync(join(root, path), text, { mode: 0o600 });
}
