import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { recordName } from "../../src/model/pull-record.ts";
import { knowOtherApiserver, startApiserver } from "./nspawn/apiserver.ts";
import {
  assertKubeletStarted,
  assertNoSecretOnDisk,
  assertNothingRestored,
  assertRestored,
  assertUnit,
  assertUnitsLoad,
  generationsOf,
} from "./nspawn/assertions.ts";
import { type Machine, Machines, reasonForNoMachine } from "./nspawn/machine.ts";
import type { Boot } from "./nspawn/report.ts";

/** A real systemd boots with our units, and a stand-in kubelet writes down what it finds. */
const systemdBoot = suite("systemd-boot");
const objects = readFileSync(new URL("nspawn/objects.json", import.meta.url), "utf8");
const store = "/var/lib/blackstart";
const restore = "blackstart-restore.service";

/** What a kubelet writes of an image that it pulled with a secret. */
const record = {
  kept: `/var/lib/kubelet/image_manager/pulled/${recordName("sha256:1")}`,
  aside: `${store}/pull-records/${recordName("sha256:1")}`,
  text: JSON.stringify({
    kind: "ImagePulledRecord",
    imageRef: "sha256:1",
    credentialMapping: { "registry.k8s.io/pause": { kubernetesSecrets: [{ name: "s" }] } },
  }),
};

/** On the disk that all machines start from. */
let preparedStore = "";

const cases: readonly {
  readonly name: string;
  readonly prepare?: (machine: Machine) => void;
  /** For systemd-nspawn. */
  readonly options?: () => readonly string[];
  readonly check: (boot: Boot, machine: Machine) => void;
}[] = [
  {
    name: "a cold boot has every pod in place before the kubelet starts",
    check: (boot) => {
      assertRestored(boot);
      assert.match(boot.memory, /^tmpfs .*\bnoswap\b/);
      assert.match(boot.memory, /nosuid,nodev/);
      assert.doesNotMatch(boot.memory, /noexec/, "a pod runs scripts from its ConfigMap");
      assert.equal(boot.tree.get("/run/blackstart"), "d 2700 0 0");
      assert.equal(boot.tree.get("/run/blackstart/key"), "f 400 0 0");
    },
  },
  {
    name: "the next cold boot replaces the dangling links and ends the same",
    prepare: (machine) => assertRestored(machine.boot()),
    check: assertRestored,
  },
  {
    name: "a key that does not unwrap stops neither restore nor the kubelet",
    prepare: ({ run }) => {
      ok(run("/bin/sh", "-c", "rm /var/lib/systemd/credential.secret && systemd-creds setup"));
    },
    check: (boot) => {
      assertUnit(boot, restore, { ActiveState: "failed", ExecMainStatus: "78" });
      assert.match(boot.journal, /blackstart: E_NO_KEY: .*host: /);
      assertNothingRestored(boot);
    },
  },
  {
    name: "an empty store is a success, and the kubelet starts",
    prepare: ({ run }) => {
      ok(run("/bin/sh", "-c", `find ${store} -type f -delete`));
    },
    check: (boot) => {
      assertUnit(boot, restore, { ActiveState: "active", ExecMainStatus: "66", Result: "success" });
      assertNothingRestored(boot);
    },
  },
  {
    name: "a restore that crashes does not stop the kubelet",
    prepare: ({ write }) => write({ "/usr/bin/blackstart": "#!/bin/sh\nkill -SEGV $$\n" }),
    check: (boot) => {
      assertUnit(boot, restore, { ActiveState: "failed", Result: "signal" });
      assertNothingRestored(boot);
    },
  },
  {
    name: "a restore that hangs is killed, and then the kubelet starts",
    prepare: ({ write }) => {
      write({
        "/usr/bin/blackstart": "#!/bin/sh\ntrap '' TERM\n/bin/sleep 600\n",
        "/etc/systemd/system/blackstart-.service.d/soon.conf": "[Service]\nTimeoutStartSec=1\n",
      });
    },
    check: (boot) => {
      assertUnit(boot, restore, { ActiveState: "failed", Result: "timeout" });
      assertNothingRestored(boot);
    },
  },
  {
    name: "a store that came up read-only is restored from",
    options: () => [`--bind-ro=${preparedStore}:${store}`],
    check: assertRestored,
  },
  {
    name: "a root file system that came up read-only stops neither the boot nor the kubelet",
    options: () => ["--read-only"],
    check: assertNothingRestored,
  },
  {
    name: "with a disk where the memory should be no secret is written, and the kubelet starts",
    prepare: ({ write }) => {
      write({
        "/srv/disk/.keep": "",
        "/etc/systemd/system/run-blackstart.mount.d/disk.conf":
          "[Mount]\nWhat=/srv/disk\nType=none\nOptions=bind\n",
      });
    },
    check: (boot) => {
      assertUnit(boot, restore, { ActiveState: "failed", Result: "exit-code" });
      assert.match(boot.journal, /blackstart: E_(NO_TMPFS|NOT_MEMORY|NO_KEY): /);
      assertNothingRestored(boot);
    },
  },
  {
    name: "a mount that fails stops nothing",
    prepare: ({ write }) => {
      write({ "/etc/systemd/system/run-blackstart.mount.d/none.conf": "[Mount]\nType=nosuchfs\n" });
    },
    check: (boot) => {
      assertUnit(boot, "run-blackstart.mount", { ActiveState: "failed" });
      assertKubeletStarted(boot);
    },
  },
  {
    name: "a kernel that does not know noswap gives a ramfs, and the pods are restored",
    prepare: ({ write }) => {
      write({
        "/etc/systemd/system/run-blackstart.mount.d/old.conf":
          "[Mount]\nOptions=mode=2700,nosuid,nodev,noswap-unknown,size=25%,nr_inodes=100k\n",
      });
    },
    check: (boot) => {
      assertRestored(boot);
      assert.match(boot.memory, /^ramfs .*mode=2700/);
    },
  },
  {
    name: "without a network address the wait for one ends, and the pods are restored",
    prepare: (machine) => knowOtherApiserver(machine),
    check: (boot) => {
      assertRestored(boot);
      assert.match(boot.journal, /probe: cold, this machine had no network address within 1/);
    },
  },
  {
    name: "restore sees an address and a route without netlink",
    prepare: (machine) => {
      knowOtherApiserver(machine);
      machine.write({
        "/etc/systemd/network/lan.netdev": "[NetDev]\nName=lan\nKind=veth\n[Peer]\nName=wire\n",
        "/etc/systemd/network/lan.network": "[Match]\nName=lan\n[Network]\nAddress=10.9.8.1/24\n",
        "/etc/systemd/network/wire.network":
          "[Match]\nName=wire\n[Network]\nLinkLocalAddressing=no\n",
        [`/etc/systemd/system/${restore}.d/lan.conf`]: "[Unit]\nAfter=systemd-networkd.service\n",
      });
      ok(machine.run("/bin/systemctl", "enable", "systemd-networkd.service"));
    },
    check: (boot) => {
      assertRestored(boot);
      assert.match(boot.journal, /probe: cold, no endpoint gave a verified answer within/);
    },
  },
  {
    name: "the record of a pull is set aside before the kubelet starts",
    prepare: ({ write }) => write({ [record.kept]: record.text }),
    check: (boot, { upper }) => {
      assertRestored(boot);
      assert.match(boot.journal, /1 pull record set aside for registry\.k8s\.io\/pause:3\.10/);
      assert.equal(existsSync(join(upper, record.kept)), false);
      assert.equal(readFileSync(join(upper, record.aside), "utf8"), record.text);
    },
  },
  {
    name: "a warm boot puts the record of a pull back",
    prepare: (machine) => {
      startApiserver(machine);
      machine.write({ "/var/lib/kubelet/image_manager/pulled/.keep": "" });
      machine.write({ [record.aside]: record.text });
    },
    check: (boot, { upper }) => {
      assertNothingRestored(boot);
      assert.match(boot.journal, /1 pull record put back, set aside by an earlier boot/);
      assert.equal(readFileSync(join(upper, record.kept), "utf8"), record.text);
      assert.equal(existsSync(join(upper, record.aside)), false);
    },
  },
  {
    name: "a warm boot restores nothing",
    prepare: startApiserver,
    check: (boot) => {
      assertUnit(boot, restore, { ActiveState: "active", ExecMainStatus: "0" });
      assert.match(boot.journal, /127\.0\.0\.1:6443.* answer/);
      assertNothingRestored(boot);
    },
  },
];

const reason = reasonForNoMachine();
if (reason === undefined) {
  const machines = new Machines(({ upper, write, run }) => {
    write({ "/objects.json": objects });
    // As a package's installation does.
    ok(run("/bin/systemctl", "preset", restore, "blackstart-settle.timer"));
    ok(run("/usr/bin/blackstart", "key", "init"));
    ok(run("/usr/bin/blackstart", "capture", "--from", "/objects.json", "--node", "node1"));
    ok(run("/bin/rm", "/objects.json"));
    preparedStore = join(upper, store);
  });
  for (const { name, prepare, options, check } of cases) {
    systemdBoot(name, () => {
      const machine = machines.make();
      prepare?.(machine);
      const before = generationsOf(machine);
      const boot = machine.boot(...(options?.() ?? []));
      check(boot, machine);
      assert.deepEqual(generationsOf(machine), before, "a boot changes no generation");
      assertNoSecretOnDisk(machine);
      assertUnitsLoad(boot);
    });
  }
  process.on("exit", () => machines[Symbol.dispose]());
} else {
  console.log(`SKIPPED systemd-boot: ${reason}`);
}

function ok({ status, output }: { readonly status: number | null; readonly output: string }): void {
  assert.equal(status, 0, output);
}

systemdBoot.run();
