import assert from "node:assert/strict";
import { suite } from "uvu";
import { startSteps } from "../e2e/node/steps.ts";
import { makeVmDir } from "./disk-image.ts";
import { makeLightMachine } from "./light-machine.ts";
import { lackingForVm } from "./requirements.ts";

const clock = suite("vm/clock");

const cases = [
  { name: "1970", rtcBase: "1970-01-01", says: /W_CLOCK: the clock is \d+ days behind/ },
  {
    name: "two years ahead",
    rtcBase: new Date(Date.now() + 731 * 86_400_000).toISOString().slice(0, 10),
    // Credible: a node may have been off for as long. Only its age is told.
    says: /taken 73\d days ago/,
  },
];

const lacking = lackingForVm();
if (lacking !== undefined) {
  console.log(`SKIPPED a machine with a wrong clock: ${lacking}`);
}
const scenario = lacking === undefined ? clock : clock.skip;

scenario("a machine whose clock is wrong restores its pods and says so", async () => {
  const { step } = startSteps("clock");
  const dir = makeVmDir();
  const machine = await step("make the disks", () => makeLightMachine(dir));
  for (const { name, rtcBase, says } of cases) {
    const vm = await step(`${name}: boot`, () => machine.boot(rtcBase));
    try {
      const unit = "blackstart-restore.service";
      const now = await vm.demand("date --iso-8601=seconds");
      const said = await vm.demand(`journalctl -b -u ${unit} -o cat --no-pager`);
      const result = await vm.demand(`systemctl show -P Result -P ExecMainStatus ${unit}`);
      const links = await vm.demand("ls -L /etc/kubernetes/manifests");
      console.log(`# ${name}: ${now.trim()}\n${said.replace(/^/gm, "#   ")}`);
      assert.equal(result.split(/\s+/)[0], "success", said);
      assert.match(said, says);
      assert.equal(links.trim().split("\n").length, 3, links);
    } finally {
      await step(`${name}: power cut`, () => vm.kill());
    }
  }
});

clock.run();
