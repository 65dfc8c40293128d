import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../daemon.ts";
import type { Node } from "./node.ts";
import { eventually } from "./wait.ts";

const deadlineMs = 180_000;

/** What `capture --watch` has made of the node, from outside. */
export interface Watching extends Daemon {
  /** Returns once a generation is there that is newer. */
  readonly newerThan: (generation: number) => Promise<number>;
  /** Returns the newest generation once it is blessed; others may be made meanwhile, such as for new tokens. */
  readonly blessed: () => Promise<number>;
}

/** The configuration of a node that captures at once and blesses soon. */
export function configureHaste(node: Node, settle: string): void {
  const text = `capture: {interval: 1s}\nsettle: ${settle}\n`;
  writeFileSync(join(node.disk, "etc/blackstart/config.yaml"), text);
}

/** Starts `capture --watch` on the node, as blackstart-capture.service does. */
export async function watchCaptures(node: Node): Promise<Watching> {
  const argv = ["/usr/bin/blackstart", "capture", "--watch"];
  const daemon = await node.machine().start("capture-watch", argv);
  const ended = () => (daemon.isRunning() ? undefined : daemon.lastWords());
  const wait = async <T>(what: string, ask: () => T | undefined) => {
    try {
      return await eventually(what, deadlineMs, ask, ended);
    } catch (error) {
      throw new Error(`${String(error)}\n${daemon.lastWords()}`);
    }
  };
  return {
    ...daemon,
    newerThan: (generation) =>
      wait(`a generation after ${generation}`, () => {
        const newest = newestGeneration(node);
        return newest > generation ? newest : undefined;
      }),
    blessed: () =>
      wait("a blessed generation that is the newest", () => {
        const newest = newestGeneration(node);
        const mark = `blessed-${String(newest).padStart(20, "0")}`;
        return storeNames(node).includes(mark) ? newest : undefined;
      }),
  };
}

export function newestGeneration(node: Node): number {
  const numbers = storeNames(node).map((name) => Number(/^gen-(\d+)\.jwe$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

/** The boot attempts that a generation has left and has used, as the store's directory says. */
export function attempts(node: Node, generation: number): { left: number; done: number } {
  const name = new RegExp(`^attempts-0*${generation}\\+(\\d)-(\\d+)$`);
  for (const entry of storeNames(node)) {
    const [, left, done] = name.exec(entry) ?? [];
    if (left !== undefined) {
      return { left: Number(left), done: Number(done) };
    }
  }
  return { left: 3, done: 0 };
}

function storeNames(node: Node): readonly string[] {
  return readdirSync(join(node.disk, "var/lib/blackstart"));
}
