// node herd-run.ts OPTIONS: plays the life of a cluster and prints what its apiserver saw, as JSON.
import { Herd, type HerdOptions, type Load } from "./herd.ts";

/** What the apiserver saw after each misfortune. */
export interface HerdReport {
  readonly powerCut: Load;
  readonly outage: Load;
  readonly oneOfThree: Load;
  readonly seconds: number;
  readonly peakMb: number;
}

async function play(options: HerdOptions): Promise<HerdReport> {
  const startedAt = performance.now();
  const herd = new Herd(options);
  herd.count();
  herd.start();
  const powerCut = await herd.settle();

  herd.server.stop();
  await herd.clock.run(600_000);
  herd.server.start();
  herd.count();
  const outage = await herd.settle();

  await herd.clock.run(600_000);
  herd.count();
  herd.loseOneOf(3);
  const oneOfThree = await herd.settle();

  herd.stop();
  return {
    powerCut,
    outage,
    oneOfThree,
    seconds: (performance.now() - startedAt) / 1_000,
    peakMb: process.resourceUsage().maxRSS / 1_024,
  };
}

const options: unknown = JSON.parse(process.argv[2] ?? "{}");
console.log(JSON.stringify(await play(options as HerdOptions)));
