import assert from "node:assert/strict";
import { join } from "node:path";
import { suite } from "uvu";
import { isReady } from "../e2e/node/projected.ts";
import { lackingForNode } from "../e2e/node/requirements.ts";
import { checkpointed } from "../e2e/node/settled-node.ts";
import { startSteps } from "../e2e/node/steps.ts";
import { eventually } from "../e2e/node/wait.ts";
import { makeVmDir } from "./disk-image.ts";
import { type FullMachine, keyMarks, makeFullMachine, marksIn } from "./full-machine.ts";
import { lackingForVm } from "./requirements.ts";
import type { Vm } from "./vm.ts";

const coldBoot = suite("vm/cold-boot");

/** A processor is emulated, and others may use the machine. */
const patientMs = 600_000;

const lacking = lackingForVm() ?? lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED a cold boot of a machine: ${lacking}`);
}
const scenario = lacking === undefined ? coldBoot : coldBoot.skip;

scenario(
  "a machine born with a checkpoint boots a cluster, again after its plug is pulled",
  async () => {
    const steps = startSteps("vm-cold-boot");
    const { step } = steps;
    const dir = makeVmDir();
    const machine = await makeFullMachine(dir, steps);
    for (const boot of [1, 2]) {
      const vm = await step(`boot ${boot}: switch on`, () => machine.boot());
      try {
        await step(`boot ${boot}: multi-user`, () => vm.waitUntilUp());
        await step(`boot ${boot}: /readyz`, () => machine.cluster.waitUntilReady(patientMs));
        const count = await step(`boot ${boot}: all projected pods`, () => allRun(machine, vm));
        assert.equal(count, checkpointed);
        await assertUnits(vm);
        await tellChains(vm, boot);
      } catch (error) {
        console.log(await lastWords(vm));
        throw error;
      } finally {
        await step(`boot ${boot}: power cut`, async () => {
          machine.cluster.disconnect();
          await vm.kill();
        });
      }
      const marks = keyMarks(machine.cluster);
      assert.ok(marks.length >= 10, `${marks.length} marks`);
      const found = await step(`boot ${boot}: search the disk`, () =>
        marksIn(machine.image, marks, join(dir, "marks")),
      );
      assert.deepEqual(found, []);
    }
  },
);

/** As the kubelet calls them. */
async function projectedIn(vm: Vm): Promise<readonly string[]> {
  const listed = await vm.demand(
    'for f in /etc/kubernetes/manifests/*.json; do test -e "$f" && echo "$f"; done; :',
  );
  return [...listed.matchAll(/\/blackstart_[^_]+_(\S+)\.json$/gm)].map(
    ([, name]) => `${name}-node1`,
  );
}

/** Returns once every pod that was projected is Ready, and gives their number. */
async function allRun(machine: FullMachine, vm: Vm): Promise<number> {
  const projected = await projectedIn(vm);
  return await eventually("the projected pods are Ready", patientMs, async () => {
    const pods = await machine.kubeletPods();
    const ready = pods.filter((pod) => isReady(pod)).map(({ metadata }) => metadata.name);
    const late = projected.filter((name) => !ready.includes(name));
    if (late.length > 0) {
      throw new Error(`not Ready: ${late.join(", ")}`);
    }
    return projected.length;
  });
}

async function assertUnits(vm: Vm): Promise<void> {
  const show = async (unit: string, ...properties: readonly string[]) =>
    Object.fromEntries(
      (await vm.demand(`systemctl show ${properties.map((p) => `-p ${p}`).join(" ")} ${unit}`))
        .trim()
        .split("\n")
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  for (const unit of ["blackstart-key.service", "blackstart-restore.service"]) {
    const { ActiveState, Result, ExecMainStatus } = await show(
      unit,
      ...["ActiveState", "Result", "ExecMainStatus"],
    );
    assert.deepEqual([ActiveState, Result, ExecMainStatus], ["active", "success", "0"], unit);
  }
  const restore = await show("blackstart-restore.service", "ActiveEnterTimestampMonotonic");
  // The first start: a kubelet that found no runtime yet is started again.
  const first = await vm.demand(
    "journalctl -b -u kubelet.service -o json --no-pager JOB_TYPE=start | head -n 1",
  );
  const startedAt = Number(first.match(/"__MONOTONIC_TIMESTAMP" ?: ?"(\d+)"/)?.[1]);
  assert.ok(
    startedAt >= Number(restore["ActiveEnterTimestampMonotonic"]),
    `the kubelet at ${startedAt}, restored at ${restore["ActiveEnterTimestampMonotonic"]}`,
  );
  const memory = await vm.demand("findmnt -no FSTYPE,OPTIONS /run/blackstart");
  assert.match(memory, /^(tmpfs .*\bnoswap\b|ramfs )/);
  // Where the kernel has no noswap, before 6.4, the unit takes a ramfs.
  assert.match(memory, /\bnosuid,nodev\b/);
  console.log(`# /run/blackstart: ${memory.trim()}`);
  assert.equal((await vm.demand("tail -n +2 /proc/swaps")).trim(), "");
  const journal = await vm.demand(
    "journalctl -b -o cat --no-pager | grep -i 'ordering cycle' || :",
  );
  assert.equal(journal, "");
  const said = await vm.demand("journalctl -b -u blackstart-restore.service -o cat --no-pager");
  console.log(said.trim().replace(/^/gm, "#   "));
  assert.match(said, /open: generation 1,/);
  assert.match(said, /probe: cold/);
}

async function tellChains(vm: Vm, boot: number): Promise<void> {
  for (const unit of ["kubelet.service", "blackstart-restore.service"]) {
    const chain = await vm.run(`systemd-analyze critical-chain --no-pager ${unit}`);
    console.log(`# boot ${boot}:\n${chain.output.trimEnd().replace(/^/gm, "#   ")}`);
  }
}

async function lastWords(vm: Vm): Promise<string> {
  if (!vm.isRunning()) {
    return vm.console().split("\n").slice(-40).join("\n");
  }
  const script =
    "systemctl --failed --no-legend; journalctl -b -o cat --no-pager -u kubelet -u containerd -u 'blackstart*' | tail -n 40 | cut -c 1-300";
  return (await vm.run(script)).output;
}

coldBoot.run();
