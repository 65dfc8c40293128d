import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { suite } from "uvu";
import type { Load } from "./herd.ts";
import type { HerdReport } from "./herd-run.ts";

/**
 * What an apiserver meets when every node of a large cluster asks for everything at once, with the jitter that we
 * chose and without any: our own client code, a simulated apiserver, virtual time. HERD_NODES sets how many nodes.
 *
 * All nodes are there only where the jitter is measured: a fifth of them stands for those without any, which do the
 * same at the same moment, and a fiftieth for nodes with 200 watches. The rates are multiplied, and the output says so.
 */
const test = suite("herd");
const nodes = Number(process.env["HERD_NODES"] ?? 5_000);
const run = promisify(execFile);
const scenarios = ["powerCut", "outage", "oneOfThree"] as const;
const sentences = {
  powerCut: "all nodes start at once",
  outage: "the apiserver is back after 10 minutes",
  oneOfThree: "one of three apiservers dies",
} as const;

async function play(secrets: number, jitter: boolean, count: number): Promise<HerdReport> {
  const options = JSON.stringify({ nodes: count, secrets, jitter, crowded: true });
  const file = new URL("herd-run.ts", import.meta.url).pathname;
  const flags = ["--max-old-space-size=6000"];
  const { stdout } = await run(process.execPath, [...flags, file, options], { maxBuffer: 1e6 });
  return JSON.parse(stdout);
}

function print(title: string, report: HerdReport, times = 1): void {
  const scaled = times === 1 ? "" : `, rates and sums multiplied by ${times}`;
  console.log(
    `\n${title}${scaled} (${report.seconds.toFixed(0)} s, ${report.peakMb.toFixed(0)} MB)`,
  );
  for (const scenario of scenarios) {
    const { requests, dials, peak1s, peak10s, mean, halfLiveS, allLiveS } = report[scenario];
    const rate = (perSecond: number) => (perSecond * times).toFixed(0).padStart(7);
    console.log(
      `  ${sentences[scenario].padEnd(40)}${rate(peak1s)}/s in 1 s${rate(peak10s)}/s in 10 s` +
        `${rate(mean)}/s mean${rate(requests)} requests${rate(dials)} dials` +
        `  live: half ${halfLiveS.toFixed(1)} s, all ${allLiveS.toFixed(1)} s`,
    );
  }
}

test(`${nodes} small nodes: jitter takes four fifths of the peak, and all are live within a minute`, async () => {
  // Seven Secrets, the pods, two collections of Services: ten watches.
  const [spread, together] = await Promise.all([play(7, true, nodes), play(7, false, nodes / 5)]);
  print(`${nodes} nodes with 10 watches, with jitter`, spread);
  print(`${nodes / 5} nodes with 10 watches, without`, together, 5);
  for (const scenario of scenarios) {
    const peakOf = (report: HerdReport): Load["peak1s"] => report[scenario].peak1s;
    // A fifth of the nodes without jitter: their peak is a fifth, too.
    assert.ok(peakOf(spread) <= peakOf(together), `${scenario}: ${peakOf(spread)} a second`);
    assert.ok(peakOf(spread) <= nodes * 1.6, `${scenario}: ${peakOf(spread)} a second`);
    assert.ok(spread[scenario].allLiveS <= 60, `${scenario}: ${spread[scenario].allLiveS} s`);
  }
});

test("nodes with 200 watches: the same rate, for longer", async () => {
  const few = nodes / 50;
  const report = await play(197, true, few);
  const times = nodes / few;
  print(`${few} nodes with 200 watches, with jitter`, report, times);
  for (const scenario of scenarios) {
    assert.ok(
      report[scenario].peak10s * times <= nodes * 2,
      `${scenario}: ${report[scenario].peak10s}`,
    );
    assert.ok(report[scenario].allLiveS <= 615, `${scenario}: ${report[scenario].allLiveS} s`);
  }
});

test.run();
