import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { buildCheckpoint } from "../../src/capture/build.ts";
import { gatherObjects } from "../../src/capture/gather.ts";
import { mergeObjects } from "../../src/capture/merge.ts";
import { nodeNameOf } from "../../src/capture/node-name.ts";
import { parseObjects } from "../../src/capture/objects.ts";
import { selectPods } from "../../src/capture/select.ts";
import { Failure } from "../../src/errors.ts";
import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import { encodeJson, parseJson } from "../../src/model/json.ts";
import { random as seeded } from "../oracle/random.ts";
import { damage } from "./damage.ts";

/** Real objects with random damage: only a `Failure` may come of it, never a bug. */
const fuzz = suite("capture/fuzz");

const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_125);
const rounds = Number(process.env["FUZZ_ROUNDS"] ?? 300);

const files = ["secrets", "configmaps", "services", "nodes"];
const [pods, ...others]: readonly (readonly unknown[])[] = ["pods", ...files].map(
  (file) =>
    JSON.parse(
      readFileSync(new URL(`../fixtures/setA/objects/${file}.json`, import.meta.url), "utf8"),
    ).items,
);

async function captureAll(text: string): Promise<string> {
  const { objects } = await parseObjects(text, "fuzz.json");
  const merged = mergeObjects(objects);
  const node = nodeNameOf(merged, undefined, "host");
  const { selected } = selectPods(merged, { kind: "all" }, node);
  selectPods(merged, { kind: "annotated" }, node);
  const checkpoint = buildCheckpoint({
    node,
    capturedAt: new Date(0),
    selected,
    objects: gatherObjects(selected, merged, node),
    unprojectable: [],
  });
  return encodeJson(parseCheckpoint(parseJson(encodeJson(checkpoint))));
}

async function outcomeOf(text: string): Promise<string> {
  try {
    await captureAll(text);
    return "captured";
  } catch (error) {
    if (error instanceof Failure) {
      assert.ok(!/[\r\n]/.test(error.message) && error.message.length < 4_000, error.message);
      return error.code;
    }
    throw error;
  }
}

fuzz(
  `ends damaged objects in a failure or a capture (seed ${seed}, ${rounds} inputs)`,
  async () => {
    const random = seeded(seed);
    const outcomes = new Map<string, number>();
    for (let round = 0; round < rounds; round += 1) {
      // A few pods only, so that the damage of one is not hidden behind another's.
      const chosen = [...random.some(pods ?? [], 3, 1), ...others.flat()];
      const copy = parseJson(JSON.stringify(chosen)) as unknown[];
      for (let times = 1 + random.int(3); times > 0; times -= 1) {
        damage(copy[random.int(random.chance(0.7) ? 1 : copy.length)], random);
      }
      const text = encodeJson({ apiVersion: "v1", kind: "List", items: copy });
      try {
        const outcome = await outcomeOf(text);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      } catch (error) {
        throw new Error(`seed ${seed}, input ${round}: ${String(error)}`, { cause: error });
      }
    }
    // A run in which nothing or everything is captured tests nothing.
    assert.ok((outcomes.get("captured") ?? 0) > rounds / 20, JSON.stringify([...outcomes]));
    assert.ok((outcomes.get("E_OBJECT") ?? 0) > rounds / 20, JSON.stringify([...outcomes]));
  },
);

fuzz(`ends damaged text in a failure or a capture (seed ${seed}, ${rounds} inputs)`, async () => {
  const random = seeded(seed + 1);
  const yaml = ["references", "first-boot", "never", "names"].map((name) =>
    readFileSync(new URL(`../fixtures/objects/${name}.yaml`, import.meta.url), "utf8"),
  );
  const pieces = [
    "\n",
    "\t",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    '"',
  ];
  for (let round = 0; round < rounds; round += 1) {
    let text = yaml[random.int(yaml.length)] ?? "";
    for (let times = 1 + random.int(4); times > 0; times -= 1) {
      const at = random.int(text.length);
      const length = random.int(6);
      const piece = random.int(3) === 0 ? "" : (pieces[random.int(pieces.length)] ?? "");
      text = text.slice(0, at) + piece + text.slice(at + length);
    }
    try {
      await outcomeOf(text);
    } catch (error) {
      throw new Error(`seed ${seed + 1}, input ${round}: ${String(error)}`, { cause: error });
    }
  }
});

fuzz.run();
