import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { makeCertificate } from "../kube/certificates.ts";
import type { ProbeAnswer, ProbeOrder } from "./probe-driver.ts";

const driver = fileURLToPath(new URL("probe-driver.ts", import.meta.url));
const server = fileURLToPath(new URL("probe-server.ts", import.meta.url));

/** Why the tests cannot run here; undefined when they can. */
export function missingPrivilege(): string | undefined {
  if (process.getuid?.() !== 0) {
    return "not root";
  }
  const probe =
    "ip netns add bs-try && ip link add netns bs-try type veth; s=$?; ip netns del bs-try; exit $s";
  const { status } = spawnSync("sh", ["-c", probe]);
  return status === 0 ? undefined : "no network namespaces with veth (iproute2)";
}

/** Two machines on one wire: an apiserver's at 192.0.2.1, and ours, without an address. */
export interface Wire extends AsyncDisposable {
  /** Runs shell commands on our machine. */
  here(script: string): void;
  /** Probes `https://<host>:<port of the apiserver>` from our machine. */
  probe(order: Partial<ProbeOrder>): Promise<ProbeAnswer>;
}

/** Makes both machines as network namespaces, and starts the apiserver's stand-in. */
export async function openWire(): Promise<Wire> {
  const id = `bs${process.pid}`;
  const [ours, theirs] = [`${id}-a`, `${id}-b`];
  run(`ip netns add ${ours}; ip netns add ${theirs}
    ip link add ${id}a netns ${ours} type veth peer name ${id}b netns ${theirs}
    ip -n ${ours} link set lo up; ip -n ${ours} link set ${id}a name eth0
    ip -n ${ours} link set eth0 up
    ip -n ${theirs} link set lo up; ip -n ${theirs} link set ${id}b name eth0
    ip -n ${theirs} addr add 192.0.2.1/24 dev eth0; ip -n ${theirs} link set eth0 up`);
  // Seen as /etc/resolv.conf by what `ip netns exec` runs.
  mkdirSync(`/etc/netns/${ours}`, { recursive: true });
  writeFileSync(`/etc/netns/${ours}/resolv.conf`, "nameserver 192.0.2.99\n");

  const ca = makeCertificate({ name: "kubernetes", ca: true });
  const identity = makeCertificate({ name: "apiserver", issuer: ca, sans: ["192.0.2.1"] });
  const env = { PATH: process.env["PATH"], IDENTITY: JSON.stringify(identity) };
  const child = spawn("ip", ["netns", "exec", theirs, process.execPath, server], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const port = await new Promise<number>((resolve) => {
    child.stdout.once("data", (line: Buffer) => resolve(Number(line.toString())));
  });

  return {
    here: (script) => run(`ip netns exec ${ours} sh -ec '${script}'`),
    probe: (order) =>
      new Promise((resolve, reject) => {
        const whole: ProbeOrder = {
          host: "192.0.2.1",
          port,
          caPem: ca.certPem,
          deadlineMs: 2_000,
          networkMs: 8_000,
          ...order,
        };
        const startedMs = performance.now();
        const prober = spawn("ip", ["netns", "exec", ours, process.execPath, driver], {
          env: { PATH: process.env["PATH"], ORDER: JSON.stringify(whole) },
          stdio: ["ignore", "pipe", "inherit"],
        });
        const chunks: Buffer[] = [];
        prober.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
        prober.once("error", reject);
        prober.once("close", () => {
          const answer: ProbeAnswer = JSON.parse(Buffer.concat(chunks).toString());
          resolve({ ...answer, processMs: performance.now() - startedMs });
        });
      }),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await new Promise((resolve) => {
        child.once("close", resolve);
      });
      run(`ip netns del ${ours}; ip netns del ${theirs}; rm -r /etc/netns/${ours}`);
    },
  };
}

function run(script: string): void {
  const { stderr, status } = spawnSync("sh", ["-ec", script], { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${script}: ${stderr}`);
  }
}
