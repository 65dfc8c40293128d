import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { archiveImages } from "../../src/archive/fetch.ts";
import { imageTarget } from "../../src/runtime/image-records.ts";
import { openRuntime } from "../../src/runtime/runtime.ts";
import { makeScene, putImage } from "../archive/archive-images.ts";
import { assertKubeletStarted, assertUnit, assertUnitsLoad } from "./nspawn/assertions.ts";
import { type Machine, Machines, reasonForNoMachine } from "./nspawn/machine.ts";
import type { Boot } from "./nspawn/report.ts";

/** The unit that imports images, under a real systemd, with a containerd of ours outside of the machine. */
const systemdImages = suite("systemd-images");
const unit = "blackstart-images.service";
const name = "registry.example/web:1";
const archive = "/var/lib/blackstart/images";
const socket = "containerd.sock";

const on = { "/etc/blackstart/config.yaml": `images: {archive: ${archive}}\n` };

const cases: readonly {
  readonly name: string;
  readonly prepare: (machine: Machine) => void;
  /** Whether containerd has the image afterwards. */
  readonly has: boolean;
  readonly check: (boot: Boot) => void;
}[] = [
  {
    name: "what containerd has lost is there before the kubelet starts",
    prepare: ({ write }) => write(on),
    has: true,
    check: (boot) => {
      assertUnit(boot, unit, { ActiveState: "active", ExecMainStatus: "0", Result: "success" });
      assert.match(boot.journal, /images import: 2 names imported/);
      const imported = Number(boot.units[unit]?.["ActiveEnterTimestampMonotonic"]);
      const kubelet = Number(boot.units["kubelet.service"]?.["InactiveExitTimestampMonotonic"]);
      assert.ok(imported > 0 && imported <= kubelet, `import ${imported}, kubelet ${kubelet}`);
    },
  },
  {
    name: "where the archive is off the unit ends at once",
    prepare: () => undefined,
    has: false,
    check: (boot) => {
      assertUnit(boot, unit, { ActiveState: "active", ExecMainStatus: "0" });
      assert.match(boot.journal, /the archive is off/);
    },
  },
  {
    name: "an import that hangs is killed, and then the kubelet starts",
    prepare: ({ write }) => {
      write({
        ...on,
        "/usr/bin/blackstart": "#!/bin/sh\ntrap '' TERM\n/bin/sleep 600\n",
        "/etc/systemd/system/blackstart-.service.d/soon.conf": "[Service]\nTimeoutStartSec=1\n",
      });
    },
    has: false,
    check: (boot) => assertUnit(boot, unit, { ActiveState: "failed", Result: "timeout" }),
  },
  {
    name: "a containerd that is not there is waited for half a minute, and then the kubelet starts",
    prepare: ({ write }) => {
      const text = "containerRuntimeEndpoint: unix:///srv/none/containerd.sock\n";
      write({ ...on, "/var/lib/kubelet/config.yaml": text });
    },
    has: false,
    check: (boot) => {
      assertUnit(boot, unit, { ActiveState: "failed", ExecMainStatus: "69" });
      assert.match(boot.journal, /blackstart: E_RUNTIME: /);
    },
  },
];

const reason = reasonForNoMachine();
if (reason === undefined) {
  const machines = new Machines(({ write, run }) => {
    const text = `containerRuntimeEndpoint: unix:///srv/containerd/${socket}\n`;
    write({ "/var/lib/kubelet/config.yaml": text });
    const { status, output } = run("/bin/systemctl", "enable", unit);
    assert.equal(status, 0, output);
  });
  for (const { name: title, prepare, has, check } of cases) {
    systemdImages(title, async () => {
      using dir = mkdtempDisposableSync(join(tmpdir(), "blackstart-containerd-"));
      const machine = machines.make();
      await putArchive(join(machine.upper, archive));
      prepare(machine);
      const child = join(import.meta.dirname, "nspawn/containerd-child.ts");
      const path = join(dir.path, socket);
      // Of its own, for a boot is waited for without a turn for anybody else in this process.
      const containerd = spawn(process.execPath, [child, path], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      try {
        await once(containerd.stdout, "data");
        const boot = machine.boot(`--bind=${dir.path}:/srv/containerd`);
        check(boot);
        assertKubeletStarted(boot);
        assertUnitsLoad(boot);
        assert.equal(await isKnown(path), has);
      } finally {
        containerd.kill("SIGKILL");
      }
    });
  }
  process.on("exit", () => machines[Symbol.dispose]());
} else {
  console.log(`SKIPPED systemd-images: ${reason}`);
}

/** Makes an archive of one image. */
async function putArchive(to: string): Promise<void> {
  await using scene = await makeScene();
  const { wanted } = putImage(scene.fake, name, ["layer"]);
  await archiveImages(scene.runtime, scene.dir, [wanted], "trust");
  cpSync(scene.dir, to, { recursive: true });
}

async function isKnown(path: string): Promise<boolean> {
  using runtime = openRuntime(path, new AbortController().signal);
  return (await imageTarget(runtime, name)) !== undefined;
}

systemdImages.run();
