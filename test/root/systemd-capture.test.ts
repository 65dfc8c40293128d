import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import { type ControlPlane, startControlPlane } from "../e2e/control-plane.ts";
import { until } from "../e2e/until.ts";
import {
  captureFiles,
  clusterObjects,
  configuration,
  credentialFiles,
  kubeconfigFile,
  type MachineStore,
  pluginFiles,
  reasonForNoCluster,
  secretMarkers,
  settingIn,
  storeOf,
} from "./nspawn/capture-cluster.ts";
import { type Machine, Machines, reasonForNoMachine } from "./nspawn/machine.ts";
import type { RunningMachine } from "./nspawn/running-machine.ts";

/** The capture units under a real systemd, against a real apiserver. The tests go on from one another. */
const systemdCapture = suite("systemd-capture");
const unit = "blackstart-capture.service";
const onceUnit = "blackstart-capture-once.service";
const timer = "blackstart-capture.timer";
const config = "/etc/blackstart/config.yaml";
const rounds = 24;
const runtimeSocket = "[Socket]\nListenStream=/run/containerd/containerd.sock\nSocketMode=0660\n";

const reason = reasonForNoMachine() ?? reasonForNoCluster();
if (reason === undefined) {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-units-"));
  const cluster = await startControlPlane({ dir });
  await cluster.apply(clusterObjects());
  const machines = new Machines(({ upper, write, run }) => {
    rmSync(join(upper, "etc/systemd/system/multi-user.target.wants/report.service"));
    write(captureFiles);
    const preset = run("/bin/systemctl", "preset", unit, timer, "blackstart-restore.service");
    assert.equal(preset.status, 0, preset.output);
  });
  process.on("exit", () => {
    machines[Symbol.dispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  const disk = machines.make();
  assert.equal(disk.run("/usr/bin/blackstart", "key", "init", "--slot", "plain").status, 0);
  const node: Node = { cluster, disk, store: storeOf(disk), machine: await disk.start() };
  let powerIsOn = true;
  for (const { name, check } of cases()) {
    systemdCapture(name, async () => {
      assert.ok(powerIsOn, "the machine has ended in a test before");
      await check(node).catch(async (error) => {
        console.log(
          (await node.machine.exec("journalctl", "-b", "-u", "blackstart-*", "-o", "cat")).output,
        );
        throw error;
      });
    });
  }
  systemdCapture.after(async () => {
    powerIsOn = false;
    await node.machine.cutPower();
    await cluster.dispose();
  });
} else {
  console.log(`SKIPPED systemd-capture: ${reason}`);
}

interface Node {
  readonly cluster: ControlPlane;
  readonly disk: Machine;
  readonly store: MachineStore;
  machine: RunningMachine;
}

interface Case {
  readonly name: string;
  readonly check: (node: Node) => Promise<void>;
}

function cases(): readonly Case[] {
  return [
    {
      name: "enabled by the preset it runs once the machine has booted, and waits for credentials",
      check: async (node) => {
        assert.equal(await node.machine.property(unit, "ActiveState"), "active");
        assert.equal(await node.machine.property(timer, "ActiveState"), "inactive");
        await says(node, /E_KUBECONFIG/);
        assert.equal(await node.machine.property(unit, "NRestarts"), "0");
        assert.equal(node.store.newest(), 0);
      },
    },
    {
      name: "it finds the kubeconfig that only the kubelet's command line names, without a restart",
      check: async ({ cluster, machine, store }) => {
        await machine.must("mkdir", "-p", "/srv/kubelet");
        for (const [path, text] of Object.entries(credentialFiles(cluster)).toReversed()) {
          await machine.write(path, text);
        }
        const checkpoint = store.open(await store.after(0, 45_000));
        assert.deepEqual(podNames(checkpoint), ["keeper-0"]);
        assert.equal(checkpoint.metadata.node, "node1");
        assert.equal(checkpoint.tokens.length, 1);
        assert.equal(await machine.property(unit, "NRestarts"), "0");
      },
    },
    {
      name: "it runs with the limits, without a capability, and well below them",
      check: async ({ machine }) => {
        const pid = await machine.property(unit, "MainPID");
        const status = await machine.must("cat", `/proc/${pid}/status`, `/proc/${pid}/limits`);
        const number = (field: string) =>
          Number(new RegExp(`^${field}:?\\s+(\\w+)`, "m").exec(status)?.[1]);
        assert.match(status, /^CapEff:\s+0+$/m);
        assert.match(status, /^CapBnd:\s+0+$/m);
        assert.match(status, /^NoNewPrivs:\s+1$/m);
        assert.match(status, /^Seccomp:\s+2$/m);
        assert.match(status, /^Max core file size\s+0\s+0/m);
        const limit = Number(await machine.property(unit, "MemoryMax"));
        assert.ok(number("VmHWM") * 1024 < limit / 2, `${number("VmHWM")} kB of ${limit}`);
        assert.equal(number("VmSwap"), 0);
        assert.equal(await machine.property(unit, "MemorySwapMax"), "0");
        const tasks = Number(await machine.property(unit, "TasksMax"));
        assert.ok(number("Threads") * 2 < tasks, `${number("Threads")} threads of ${tasks}`);
      },
    },
    {
      name: "a change becomes a generation",
      check: async ({ cluster, store }) => {
        const before = store.newest();
        await rotateSecret(cluster, "marker-rotated");
        const { items } = store.open(await store.after(before));
        assert.ok(JSON.stringify(items).includes(btoa("marker-rotated")));
      },
    },
    {
      name: "it reaches the container runtime's socket, which is root's alone",
      check: async (node) => {
        const { machine } = node;
        await says(node, /W_RUNTIME: .*there is no \/run\/containerd\/containerd\.sock/);
        await machine.write("/etc/systemd/system/runtime.socket", runtimeSocket);
        await machine.write(
          "/etc/systemd/system/runtime.service",
          "[Service]\nExecStart=/bin/sleep infinity\n",
        );
        await machine.must("systemctl", "daemon-reload");
        await machine.must("systemctl", "start", "runtime.socket");
        await machine.must("systemctl", "reload", unit);
        // It is connected, and nobody answers. Had it been kept from connecting it would say so.
        await says(node, /W_RUNTIME: .*containerd\.sock: no answer within 2 s/);
        await machine.must("systemctl", "stop", "runtime.socket", "runtime.service");
        await machine.must("rm", "/run/containerd/containerd.sock");
      },
    },
    {
      name: "a reload reads the configuration anew, and keeps the former where it is malformed",
      check: async (node) => {
        const { machine, store } = node;
        const pid = await machine.property(unit, "MainPID");
        const before = store.newest();
        await machine.write(config, configuration("all"));
        await machine.must("systemctl", "reload", unit);
        const generation = await store.after(before);
        assert.deepEqual(podNames(store.open(generation)), ["keeper-0", "worker-0"]);
        await machine.write(config, "select: [nonsense\n");
        await machine.must("systemctl", "reload", unit);
        await says(node, /E_CONFIG.*stays as it was/);
        await change(node, "after a bad reload");
        assert.deepEqual(podNames(store.open(await store.after(generation))), [
          "keeper-0",
          "worker-0",
        ]);
        await machine.write(config, configuration("all"));
        assert.equal(await machine.property(unit, "MainPID"), pid);
      },
    },
    {
      name: "a reload in the first moment of a start does not end it",
      check: async (node) => {
        const { machine, store } = node;
        await machine.must("systemctl", "stop", unit);
        await machine.must("systemctl", "start", unit);
        await machine.must("systemctl", "kill", "--kill-who=main", "--signal=HUP", unit);
        const before = store.newest();
        await change(node, "after a reload at once");
        await store.after(before);
        assert.equal(await machine.property(unit, "ActiveState"), "active");
      },
    },
    {
      name: "a stop is clean and quick",
      check: async ({ machine }) => {
        const started = performance.now();
        await machine.must("systemctl", "stop", unit);
        assert.ok(performance.now() - started < 3_000);
        assert.equal(await machine.property(unit, "Result"), "success");
        assert.equal(await machine.property(unit, "ExecMainStatus"), "0");
        assert.equal(await machine.property(unit, "ActiveState"), "inactive");
        assert.equal((await machine.exec("test", "-e", "/run/blackstart/lock")).status, 1);
        assert.equal((await machine.exec("test", "-e", "/run/blackstart-capture")).status, 1);
      },
    },
    {
      name: `stopped or killed ${rounds} times at any moment, the store opens at the old or the new generation`,
      check: endings,
    },
    {
      name: "killed, it is started again",
      check: async (node) => {
        const { machine, store } = node;
        await machine.must("systemctl", "start", unit);
        const before = store.newest();
        await machine.must("systemctl", "kill", "--kill-who=main", "--signal=KILL", unit);
        await change(node, "after a kill");
        await store.after(before);
        assert.equal(await machine.property(unit, "ActiveState"), "active");
      },
    },
    {
      name: "without a key it fails and says why, and runs once there is one",
      check: async (node) => {
        const { machine, store } = node;
        await machine.must("systemctl", "stop", unit);
        await machine.must("mv", "/run/blackstart/key", "/run/blackstart/away");
        await machine.must("mv", "/etc/blackstart/keys", "/etc/blackstart/away");
        await machine.must("systemctl", "start", unit);
        await says(node, /E_NO_KEY/);
        assert.equal(await machine.property(unit, "ExecMainStatus"), "78");
        const before = store.newest();
        await machine.must("mv", "/etc/blackstart/away", "/etc/blackstart/keys");
        await machine.must("mv", "/run/blackstart/away", "/run/blackstart/key");
        await change(node, "with the key again");
        await store.after(before);
      },
    },
    {
      name: "while it runs, the timer's unit has nothing to do",
      check: async (node) => {
        const { machine } = node;
        await machine.must("systemctl", "start", timer);
        await after(6_000);
        assert.equal(await machine.property(onceUnit, "ConditionResult"), "no");
        assert.equal(await machine.property(onceUnit, "ExecMainStartTimestamp"), "");
        const journal = await machine.must("journalctl", "-b", "-o", "cat", "--no-pager");
        const skips = journal.match(/once\.service.*unmet condition|Checkpoint.*unmet condition/g);
        assert.ok((skips?.length ?? 0) >= 1 && (skips?.length ?? 0) <= 6, `${skips?.length} skips`);
        await machine.must("systemctl", "stop", timer);
      },
    },
    {
      name: "the timer captures for a node by its kubelet's name, and again after a change",
      check: async (node) => {
        const { cluster, machine, store } = node;
        await machine.must("systemctl", "stop", unit);
        // An administrator's certificate names no node, so the kubelet's command line has to.
        const { [kubeconfigFile]: own = "" } = credentialFiles(cluster);
        await machine.write(kubeconfigFile, readFileSync(cluster.adminKubeconfig, "utf8"));
        const before = store.newest();
        await change(node, "for the timer");
        await machine.must("systemctl", "start", timer);
        const first = await store.after(before);
        assert.equal(store.open(first).metadata.node, "node1");
        await change(node, "for the timer again");
        await store.after(first);
        await machine.write(kubeconfigFile, own);
        await machine.must("systemctl", "stop", timer);
        await until(
          async () => (await machine.property(onceUnit, "ActiveState")) === "inactive",
          10_000,
          () => "the capture does not end",
        );
        const latest = store.newest();
        await machine.must("systemctl", "start", onceUnit);
        assert.equal(store.newest(), latest, "nothing has changed");
      },
    },
    {
      name: "while pods from a checkpoint run nothing is captured, which is no failure, and is said",
      check: async (node) => {
        const { machine, store } = node;
        const manifests = "/etc/kubernetes/manifests";
        await machine.must("blackstart", "restore", "--force");
        assert.match(await machine.must("ls", manifests), /keeper-0/);
        const before = store.newest();
        await change(node, "while projected");
        // A failure of the unit would be one of this.
        await machine.must("systemctl", "start", onceUnit);
        assert.match(await saidBy(node, onceUnit), /E_PROJECTED/);
        await machine.must("systemctl", "start", unit);
        await says(node, /E_PROJECTED/);
        assert.equal(store.newest(), before);
        await machine.must("sh", "-c", `rm ${manifests}/*`);
        await store.after(before);
      },
    },
    {
      name: "a credential plugin runs inside of its limits, and the apiserver's name is resolved",
      check: async (node) => {
        const { cluster, machine, store } = node;
        for (const [path, text] of Object.entries(pluginFiles(cluster))) {
          await machine.write(path, text);
        }
        await machine.must("chmod", "755", "/srv/kubelet/plugin");
        await machine.must("systemctl", "restart", unit);
        await says(node, /connected to https:\/\/localhost:/);
        const before = store.newest();
        await change(node, "with a plugin");
        await store.after(before);
      },
    },
    {
      name: "turned off and on again, it goes on from what it had",
      check: async (node) => {
        const { disk, store } = node;
        const before = store.newest();
        // Restore asks for an apiserver before there is a kubelet whose command line names one.
        const named = configuration("all", `kubeconfig: ${kubeconfigFile}`);
        await node.machine.write(config, named);
        await node.machine.turnOff();
        node.machine = await disk.start();
        await says(node, /following the pods of node node1/);
        await change(node, "after a boot");
        await store.after(before);
        const former = await node.machine.must(
          ...["journalctl", "-b", "-1", "-u", unit, "-o", "cat", "--no-pager"],
        );
        assert.match(former, /capture: stopped/);
      },
    },
    {
      name: "after a power cut it goes on from what it had",
      check: async (node) => {
        const { disk, store } = node;
        const before = store.newest();
        await node.machine.cutPower();
        node.machine = await disk.start();
        await change(node, "after a power cut");
        await store.after(before);
      },
    },
    {
      name: "no value, token or key is in any journal",
      check: async ({ machine, store, cluster }) => {
        const journal = await machine.must("journalctl", "--no-pager", "-o", "verbose", "--all");
        assert.match(journal, /capture: generation \d+/);
        const tokens = store.open(store.newest()).tokens.map(({ token }) => token);
        assert.equal(tokens.length, 2);
        const pem = Object.values(credentialFiles(cluster)).join("\n");
        const [, clientKey = ""] = /PRIVATE KEY-----\n(\S{40})/.exec(pem) ?? [];
        for (const secret of [...secretMarkers, ...tokens, ...store.keyTexts(), clientKey]) {
          assert.ok(secret.length > 8 && !journal.includes(secret), "a secret is in the journal");
        }
        assert.doesNotMatch(journal, /PRIVATE KEY|eyJ[\w-]{20}/);
      },
    },
  ];
}

/** Every second one is killed in the middle of a commit, as far as that can be hit. */
async function endings(node: Node): Promise<void> {
  const { machine, store } = node;
  let inCommit = 0;
  let settled = settingIn(store.open(store.newest()));
  for (let round = 0; round < rounds; round += 1) {
    const before = store.newest();
    const value = `round ${round}`;
    await change(node, value);
    await machine.must("systemctl", "start", unit);
    const pid = machine.pidOf(Number(await machine.property(unit, "MainPID")));
    if (round % 2 === 0) {
      const end = performance.now() + 10_000;
      while (store.unfinished().length === 0 && store.newest() === before) {
        assert.ok(performance.now() < end, "no commit within 10 s");
        await after(1);
      }
    } else {
      await after(400 + (round / rounds) * 1_600);
    }
    if (round % 4 < 2) {
      process.kill(pid, "SIGKILL");
    }
    await machine.must("systemctl", "stop", unit);
    assert.equal(
      await machine.property(unit, "Result"),
      round % 4 < 2 ? "signal" : "success",
      `round ${round}`,
    );
    inCommit += store.unfinished().length > 0 ? 1 : 0;

    const newest = store.newest();
    assert.ok(newest === before || newest === before + 1, `${before}, then ${newest}`);
    const setting = settingIn(store.open(newest));
    assert.equal(setting, newest === before ? settled : value, `generation ${newest}`);
    settled = setting;
    await machine.must("blackstart", "verify");
  }
  console.log(`${inCommit} of ${rounds} ends were in the middle of a commit`);
  assert.ok(inCommit > 0, "no commit was hit");
}

async function change({ cluster }: Node, value: string): Promise<void> {
  const path = "/api/v1/namespaces/kube-system/configmaps/keeper-settings";
  const { status, text } = await cluster.api("PATCH", path, { data: { value } });
  assert.equal(status, 200, text);
}

async function rotateSecret(cluster: ControlPlane, value: string): Promise<void> {
  const path = "/api/v1/namespaces/kube-system/secrets/keeper-tls";
  const { status, text } = await cluster.api("PATCH", path, { data: { token: btoa(value) } });
  assert.equal(status, 200, text);
}

function podNames({ pods }: { readonly pods: readonly { readonly name: string }[] }): string[] {
  return pods.map(({ name }) => name).sort();
}

/** What a unit has said in this boot. */
async function saidBy({ machine }: Node, name: string): Promise<string> {
  return machine.must("journalctl", "-b", "-u", name, "-o", "cat", "--no-pager");
}

/** Waits until the resident unit has said that, in its present or its latest run. */
async function says(node: Node, what: RegExp): Promise<void> {
  let said = "";
  await until(
    async () => {
      const id = await node.machine.property(unit, "InvocationID");
      said = (await node.machine.exec("journalctl", `_SYSTEMD_INVOCATION_ID=${id}`, "-o", "cat"))
        .output;
      return what.test(said);
    },
    40_000,
    () => `${unit} has not said ${what}:\n${said}`,
  );
}

systemdCapture.run();
