import assert from "node:assert/strict";
import { describe, type Run } from "../executable.ts";
import type { NodeRoot } from "../node-root.ts";
import { marker } from "../objects.ts";
import { snapshot } from "../tree.ts";
import { type Answer, type Asked, authority, type FakeApiserver } from "./fake-apiserver.ts";
import { keyLines } from "./live-node.ts";

/** A cluster, or the way to it, that is not as it should be, and what a capture must say of it. */
export interface BadCluster {
  /** Number in the catalogue of bad inputs; undefined for what it does not list. */
  readonly case?: number;
  /** As a sentence; with the number it is the test's title. */
  readonly name: string;
  /** In place of what a cluster of one pod holds. */
  readonly objects?: readonly object[];
  /** What the server answers in place of the truth. */
  readonly fault?: (asked: Asked, server: FakeApiserver) => Answer | undefined;
  /** Another server than ours. */
  readonly serve?: () => Promise<AsyncDisposable & { readonly port: number }>;
  /** The kubeconfig; undefined text for none. */
  readonly kubeconfig?: (port: number, node: NodeRoot) => string | undefined;
  readonly given?: (node: NodeRoot) => void;
  readonly words?: readonly string[];
  readonly code: string;
  readonly exit: number;
  /** What the reader must be told besides. */
  readonly says?: RegExp;
  /** The most requests that it may have made. */
  readonly requests?: number;
}

/** The pods' list. */
export function isPods({ path, isWatch }: Asked): boolean {
  return path === "/api/v1/pods" && !isWatch;
}

/** The Secret's own path. */
export function isSecret({ path }: Asked): boolean {
  return path.includes("/secrets");
}

/** Everything that a run can change, but for the lock's directory. */
export function everything({ root }: NodeRoot): readonly string[] {
  return snapshot(root).filter((line) => !/^run\/blackstart(\/| )|^run /.test(line));
}

/** Nothing that is nobody's business has been said. */
export function assertSecret({ stdout, stderr, ...run }: Run): void {
  const said = describe({ stdout, stderr, ...run });
  for (const secret of [marker, ...keyLines, ...authority.certPem.split("\n").slice(1, 3)]) {
    assert.ok(!(stdout + stderr).includes(secret), `a secret is told: ${said}`);
  }
}
