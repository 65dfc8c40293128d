import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { startSteps } from "../e2e/node/steps.ts";
import { makeVmDir } from "./disk-image.ts";
import { makeLightMachine } from "./light-machine.ts";
import { lackingForVm } from "./requirements.ts";
import type { Vm } from "./vm.ts";

const powerCuts = suite("vm/power-cuts");

const cuts = Number(process.env["BLACKSTART_VM_CUTS"] ?? 20);
const seed = Number(process.env["BLACKSTART_VM_SEED"] ?? randomInt(2 ** 31));

/** Some rounds of capture and restore, where a processor is emulated. */
const longestMs = 8_000;

const lacking = lackingForVm();
if (lacking !== undefined) {
  console.log(`SKIPPED power cuts of a machine: ${lacking}`);
}
const scenario = lacking === undefined ? powerCuts : powerCuts.skip;

scenario("no power cut takes back a generation that was acknowledged", async () => {
  const { step } = startSteps("power-cuts");
  console.log(`# BLACKSTART_VM_SEED=${seed}`);
  const dir = makeVmDir();
  const machine = await step("make the disks", () => makeLightMachine(dir));
  const random = makeRandom(seed);
  let acknowledged = 1;
  let rounds = 0;
  for (let cut = 1; cut <= cuts + 1; cut++) {
    const vm = await step(`boot ${cut}`, () => machine.boot());
    try {
      const newest = await newestIntact(vm);
      assert.ok(newest >= acknowledged, `generation ${acknowledged} was acknowledged: ${newest}`);
      acknowledged = newest;
      if (cut <= cuts) {
        await vm.demand("systemd-run --quiet --unit=loop /usr/local/bin/loop");
        const afterMs = Math.round(random() * longestMs);
        await sleep(afterMs);
        await vm.kill();
        const told = readLoop(vm.lines);
        acknowledged = Math.max(acknowledged, ...told);
        rounds += told.length;
        console.log(`#   cut ${cut} after ${afterMs} ms; acknowledged ${told.join(" ") || "none"}`);
      }
    } finally {
      await vm.kill();
    }
  }
  console.log(`# ${cuts} cuts, ${rounds} captures acknowledged, the last ${acknowledged}`);
  assert.ok(rounds >= cuts / 2, "the machine did something between the cuts");
});

/** What the loop acknowledged. @throws {Error} where one of its commands failed */
function readLoop(lines: readonly string[]): readonly number[] {
  const failures = lines.filter((line) => line.startsWith("failed"));
  assert.deepEqual(failures, []);
  return lines.flatMap((line) => line.match(/^acknowledged (\d+)$/)?.[1] ?? []).map(Number);
}

async function newestIntact(vm: Vm): Promise<number> {
  const verified = await vm.run("blackstart verify");
  assert.equal(verified.status, 0, verified.output);
  const listed = await vm.demand("ls /var/lib/blackstart");
  // The file name tells it; `verify` has opened every one.
  const generations = [...listed.matchAll(/^gen-(\d{20})\S*\.jwe$/gm)].map(([, n]) => Number(n));
  return Math.max(0, ...generations);
}

/** Mulberry32: from 0 to 1, the same for the same seed. */
function makeRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

powerCuts.run();
