import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { cleanEnvironment } from "../../../scripts/install.mjs";
import { parsed } from "../../../src/cli/open-checkpoint.ts";
import type { Checkpoint } from "../../../src/model/checkpoint.ts";
import { ringOf } from "../../../src/model/store-key.ts";
import { openGeneration } from "../../../src/store/store.ts";
import { makeCertificate } from "../../kube/certificates.ts";
import { kubeconfigOf } from "../../kube/credential-root.ts";
import { blackstart, type Run, succeed } from "../executable.ts";
import { capture, memory, type NodeRoot, nodeWith } from "../node-root.ts";
import { marker, objects } from "../objects.ts";
import { authority } from "./fake-apiserver.ts";

/** The kubelet of node n1. */
export const kubelet = makeCertificate({
  name: "system:node:n1",
  issuer: authority,
  usage: "client",
});

/** Lines of the kubelet's private key, which nobody may be shown. */
export const keyLines = kubelet.keyPem.split("\n").filter((line) => /^[^-]{20,}/.test(line));

/** A node with a key and the generations 1 and 2, which a live capture would replace. */
export function liveNode(): NodeRoot {
  return nodeWith(fill, memory);
}

function fill(node: NodeRoot): void {
  writeFileSync(
    node.at("etc/blackstart/config.yaml"),
    "swap: allow\nsettle: 10s\ncapture: {interval: 1s}\n",
  );
  succeed(["key", "init", "--slot", "plain", "--root", node.root]);
  for (const level of ["oldest", "old"]) {
    capture(node, ...objects({ level }));
  }
}

/** What the cluster holds: the pod of generation 2, whose ConfigMap has changed. */
export function cluster(): readonly object[] {
  return [...objects({ level: "new" })];
}

/** The kubelet's kubeconfig: its certificate, and a token, so that both could leak. */
export function kubeconfig(
  port: number,
  { cluster: more = {}, user = {} }: { cluster?: object; user?: object } = {},
): string {
  return kubeconfigOf(
    {
      server: `https://127.0.0.1:${port}`,
      "certificate-authority-data": encoded(authority.certPem),
      ...more,
    },
    {
      "client-certificate-data": encoded(kubelet.certPem),
      "client-key-data": encoded(kubelet.keyPem),
      token: `${marker}-token`,
      ...user,
    },
  );
}

export function encoded(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** Gives the node's kubelet these credentials. */
export function login(node: NodeRoot, text: string): void {
  writeFileSync(node.at("etc/kubernetes/kubelet.conf"), text, { mode: 0o600 });
}

/** The program while it runs; this process goes on, so that it can be its apiserver. */
export interface Running {
  readonly child: ChildProcess;
  /** What it has said so far on stderr. */
  said(): string;
  /** Resolves once stderr matches. */
  says(pattern: RegExp): Promise<void>;
  readonly result: Promise<Run & { readonly ms: number }>;
}

const deadlineMs = 100_000;

/** Starts the program; it is killed after 100 s. */
export function start(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return startProgram(blackstart, words, env);
}

/** As `start`, for a program that starts ours. */
export function startProgram(
  program: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Running {
  const startedMs = performance.now();
  const child = spawn(program, words, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  let woken = (): void => undefined;
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8");
    child[name].on("data", (text: string) => {
      output[name] += text;
      woken();
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  const result = new Promise<Run & { readonly ms: number }>((resolve) => {
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      woken();
      const ms = performance.now() - startedMs;
      resolve({ pid: child.pid ?? 0, output: [], ...output, status, signal, ms });
    });
  });
  return {
    child,
    said: () => output.stderr,
    async says(pattern) {
      while (!pattern.test(output.stderr)) {
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`it ended without saying ${pattern}: ${output.stderr}`);
        }
        await new Promise<void>((resolve) => {
          woken = resolve;
        });
      }
    },
    result,
  };
}

/** What a generation holds. */
export function opened(node: NodeRoot, generation: number): Checkpoint {
  return parsed(openGeneration(node.store, generation, ringOf(node.key()), "n1")).checkpoint;
}

/** The numbers of the generations, oldest first. */
export function generations({ store }: NodeRoot): readonly number[] {
  return readdirSync(store)
    .map((name) => Number(/^gen-(\d+)\.jwe$/.exec(name)?.[1]))
    .filter((generation) => !Number.isNaN(generation))
    .sort((a, b) => a - b);
}
