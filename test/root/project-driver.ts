import { readFileSync } from "node:fs";
import { Failure } from "../../src/errors.ts";
import { observeBoot } from "../../src/host/observe.ts";
import { ensureMemory } from "../../src/host/tmpfs.ts";
import { applyPlan } from "../../src/project/project.ts";
import { planOf, podPlan, type Sketch } from "../project/plans.ts";

/** What the driver is asked to do, as JSON on its standard input. */
export interface Order {
  readonly root: string;
  readonly runDir: string;
  readonly swap: "refuse" | "allow";
  readonly pods: readonly { readonly name: string; readonly volumes: Record<string, Sketch> }[];
}

/** What it answers on its standard output. */
export interface Answer {
  readonly thrown?: string;
  readonly kind?: string;
  readonly noswap?: boolean;
  readonly log: readonly string[];
  readonly warnings: readonly string[];
  /** `projected`, … or the failure's code. */
  readonly outcomes: readonly string[];
  readonly messages: readonly string[];
}

function carryOut({ root, runDir, swap, pods }: Order): Answer {
  const log: string[] = [];
  try {
    const memory = ensureMemory(runDir, { root, swap, log: (line) => log.push(line) });
    const { kind, noswap } = memory;
    const warnings = memory.warnings.map(({ code }) => code);
    if (pods.length === 0) {
      return { kind, noswap, log, warnings, outcomes: [], messages: [] };
    }
    const { canOwn, seLinux } = observeBoot(root);
    const plan = planOf(...pods.map(({ name, volumes }) => podPlan("a", name, volumes)));
    const staticPodDir = "/etc/kubernetes/manifests";
    const applied = applyPlan(plan, {
      root,
      staticPodDir,
      runDir,
      memory,
      canOwn,
      seLinux,
      prune: false,
    });
    const failures = applied.outcomes.flatMap((one) =>
      one.kind === "failed" ? [one.failure] : [],
    );
    return {
      kind,
      noswap,
      log,
      warnings: [...warnings, ...applied.warnings.map(({ code }) => code)],
      outcomes: applied.outcomes.map((one) =>
        one.kind === "failed" ? one.failure.code : one.kind,
      ),
      messages: failures.map((failure) => failure.message),
    };
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    return { thrown: error.code, log, warnings: [], outcomes: [], messages: [error.message] };
  }
}

console.log(JSON.stringify(carryOut(JSON.parse(readFileSync(0, "utf8")))));
