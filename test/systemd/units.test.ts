import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";

/** The units as systemd's own tools judge them, and the promises that they must keep. */
const systemdUnits = suite("systemd/units");
const systemd = join(import.meta.dirname, "../../systemd");
const unitNames = readdirSync(systemd).filter((name) => /\.(service|mount|timer)$/.test(name));

const services = unitNames.filter((name) => name.endsWith(".service"));
/** What the kubelet waits for. */
const beforeKubelet = [
  "blackstart-key.service",
  "blackstart-restore.service",
  "blackstart-images.service",
];
const captures = ["blackstart-capture.service", "blackstart-capture-once.service"];
/** The highest exposure of a service, times ten. */
const thresholdOf = (service: string) => (captures.includes(service) ? 14 : 18);

/** A tree that holds the units and a stand-in executable, for `systemd-analyze --root`. */
function withRoot(run: (root: string) => void, files: Readonly<Record<string, string>> = {}): void {
  const root = mkdtempSync(join(tmpdir(), "blackstart-units-"));
  try {
    const units = join(root, "usr/lib/systemd/system");
    for (const dir of ["usr/lib/systemd/system", "usr/bin", "bin", "etc/systemd/system"]) {
      mkdirSync(join(root, dir), { recursive: true });
    }
    for (const name of unitNames) {
      cpSync(join(systemd, name), join(units, name));
    }
    for (const program of ["usr/bin/blackstart", "bin/sh"]) {
      writeFileSync(join(root, program), "#!/bin/sh\n", { mode: 0o755 });
    }
    for (const [path, text] of Object.entries(files)) {
      writeFileSync(join(root, path), text, { mode: 0o755 });
    }
    run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function analyze(...words: readonly string[]): {
  readonly status: number | null;
  readonly output: string;
} {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

function verify(root: string): { readonly status: number | null; readonly output: string } {
  return analyze("verify", "--recursive-errors=no", "--man=no", `--root=${root}`, ...unitNames);
}

/** Every value that the unit gives to a directive, in order, as words. */
function words(unit: string, directive: string): string[] {
  return readFileSync(join(systemd, unit), "utf8")
    .split("\n")
    .filter((line) => line.startsWith(`${directive}=`))
    .flatMap((line) => line.slice(directive.length + 1).split(" "));
}

if (spawnSync("systemd-analyze", ["--version"]).error === undefined) {
  systemdUnits("systemd-analyze verify finds nothing to say", () => {
    withRoot((root) => assert.deepEqual(verify(root), { status: 0, output: "" }));
  });

  systemdUnits("systemd-analyze verify would find an unknown key", () => {
    const broken = readFileSync(join(systemd, "blackstart-restore.service"), "utf8").replace(
      "TimeoutStopSec=",
      "TimeoutStopSecs=",
    );
    const files = { "usr/lib/systemd/system/blackstart-restore.service": broken };
    withRoot((root) => assert.match(verify(root).output, /TimeoutStopSecs/), files);
  });

  for (const name of services) {
    const threshold = thresholdOf(name);
    systemdUnits(`the exposure of ${name} is at most ${threshold / 10}`, () => {
      const file = join(systemd, name);
      const { status, output } = analyze(
        "security",
        "--offline=yes",
        `--threshold=${threshold}`,
        file,
      );
      assert.equal(status, 0, output.trim().split("\n").at(-1));
    });
  }
} else {
  console.log("SKIPPED systemd-analyze verify and security: systemd-analyze is missing");
}

const dependencies = [
  "Requires",
  "Requisite",
  "BindsTo",
  "PartOf",
  "Upholds",
  "RequiredBy",
  "RequiresMountsFor",
];

for (const name of unitNames) {
  systemdUnits(`${name} requires nothing, and nothing requires it`, () => {
    for (const dependency of dependencies) {
      assert.deepEqual(words(name, dependency), [], dependency);
    }
  });
}

systemdUnits("the kubelet wants restore, and restore is ordered before it", () => {
  assert.deepEqual(words("blackstart-restore.service", "WantedBy"), ["kubelet.service"]);
  assert.ok(words("blackstart-restore.service", "Before").includes("kubelet.service"));
});

systemdUnits(
  "images are imported between containerd and the kubelet, and restore waits for none",
  () => {
    const images = "blackstart-images.service";
    assert.deepEqual(words(images, "After"), ["containerd.service"]);
    assert.deepEqual(words(images, "Before"), ["kubelet.service"]);
    assert.deepEqual(words(images, "WantedBy"), ["kubelet.service"]);
    assert.deepEqual(words(images, "Wants"), []);
    assert.deepEqual(words(images, "TimeoutStartSec"), ["5min"]);
    for (const directive of ["After", "Wants"]) {
      assert.ok(!words("blackstart-restore.service", directive).includes(images), directive);
    }
  },
);

systemdUnits("restore waits for no network target", () => {
  for (const directive of ["After", "Wants"]) {
    assert.deepEqual(
      words("blackstart-restore.service", directive).filter((unit) => unit.startsWith("network")),
      [],
    );
  }
});

systemdUnits("what the kubelet waits for is killed without grace when its time is over", () => {
  for (const unit of beforeKubelet) {
    assert.deepEqual(words(unit, "TimeoutStartFailureMode"), ["kill"], unit);
    assert.deepEqual(words(unit, "TimeoutStopSec"), ["5"], unit);
  }
});

systemdUnits("restore may run for the longest probe and then its work", async () => {
  const { defaultConfig } = await import("../../src/config.ts");
  const { networkMs, deadlineMs } = defaultConfig.probe;
  const [seconds] = words("blackstart-restore.service", "TimeoutStartSec");
  assert.ok(Number(seconds) * 1000 >= networkMs + deadlineMs + 10_000);
});

systemdUnits("restore starts whether or not there is a key", () => {
  assert.deepEqual(words("blackstart-restore.service", "LoadCredential"), [
    "store-key:/run/blackstart/key",
  ]);
  assert.deepEqual(words("blackstart-restore.service", "SetCredential"), ["store-key:NOKEY"]);
  assert.deepEqual(words("blackstart-restore.service", "LoadCredentialEncrypted"), []);
});

systemdUnits("an empty store is a success", () => {
  assert.deepEqual(words("blackstart-restore.service", "SuccessExitStatus"), ["66"]);
});

systemdUnits(
  "capture starts after the kubelet and what a boot restores, and nothing waits for it",
  () => {
    for (const unit of captures) {
      assert.deepEqual(words(unit, "Before"), [], unit);
      for (const former of [
        "kubelet",
        "blackstart-key",
        "blackstart-restore",
        "blackstart-settle",
      ]) {
        assert.ok(words(unit, "After").includes(`${former}.service`), `${unit}: ${former}`);
      }
    }
  },
);

systemdUnits("both ways to capture may do the same", () => {
  const [resident, once] = captures.map((unit) => {
    const text = readFileSync(join(systemd, unit), "utf8");
    return text.slice(text.indexOf("\nEnvironment=BOOT_ID"), text.indexOf("\n[Install]")).trim();
  });
  assert.ok(resident?.includes("\nMemoryMax="));
  assert.equal(once, resident);
});

systemdUnits(
  "capture has no capability and writes to the store, its lock and a list of pinned images only",
  () => {
    for (const unit of captures) {
      assert.deepEqual(words(unit, "CapabilityBoundingSet"), [""], unit);
      assert.deepEqual(
        words(unit, "ReadWritePaths"),
        ["-/run/blackstart", "-/var/lib/blackstart", "-/etc/crio/crio.conf.d"],
        unit,
      );
    }
  },
);

systemdUnits("capture that is over tries again for ever, but for a wrong command line", () => {
  assert.deepEqual(words("blackstart-capture.service", "Restart"), ["on-failure"]);
  assert.deepEqual(words("blackstart-capture.service", "StartLimitIntervalSec"), ["0"]);
  assert.deepEqual(words("blackstart-capture.service", "RestartPreventExitStatus"), ["64"]);
});

systemdUnits("a capture that cannot be now is a success of the timer's unit", async () => {
  const { failureExit } = await import("../../src/errors.ts");
  const [status] = words("blackstart-capture-once.service", "SuccessExitStatus");
  for (const code of ["E_PROJECTED", "E_CLOCK", "E_LOCKED"] as const) {
    assert.equal(failureExit[code], Number(status), code);
  }
});

systemdUnits("the timer's unit may run for as long as a capture waits for a new pod", async () => {
  const { endingMs, successorMs } = await import("../../src/capture/replacement.ts");
  const longest = endingMs + successorMs;
  const [limit] = words("blackstart-capture-once.service", "TimeoutStartSec");
  assert.equal(limit, "15min");
  assert.ok(15 * 60_000 > longest + 60_000);
});

systemdUnits("the timer starts the unit that captures once, which exists", () => {
  const [unit = ""] = words("blackstart-capture.timer", "Unit");
  assert.ok(captures.includes(unit) && services.includes(unit), unit);
});

systemdUnits("the preset decides on every unit that can be enabled", () => {
  const installable = unitNames.filter((name) => words(name, "WantedBy").length > 0);
  const preset = readFileSync(join(systemd, "blackstart.preset"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(preset.map((line) => line.split(" ")[1]).sort(), installable.sort());
  assert.ok(preset.includes("enable blackstart-capture.service"));
  assert.ok(preset.includes("disable blackstart-capture.timer"));
});

systemdUnits("no service inherits a variable that loads code or changes trust", () => {
  for (const unit of services) {
    const unset = new Set(words(unit, "UnsetEnvironment"));
    for (const name of [
      "NODE_OPTIONS",
      "NODE_EXTRA_CA_CERTS",
      "SSL_CERT_FILE",
      "SSL_CERT_DIR",
      "OPENSSL_CONF",
      "LD_PRELOAD",
    ]) {
      assert.ok(unset.has(name), `${unit}: ${name}`);
    }
  }
});

systemdUnits("no secret of a service reaches swap or a core file", () => {
  for (const unit of services) {
    for (const directive of ["MemorySwapMax", "LimitCORE", "CoredumpFilter"]) {
      assert.deepEqual(words(unit, directive), ["0"], `${unit}: ${directive}`);
    }
  }
});

systemdUnits("the memory is never a plain tmpfs, and scripts in it may be run", () => {
  const options = words("run-blackstart.mount", "Options").join().split(",");
  assert.ok(options.includes("noswap"));
  assert.ok(!options.includes("noexec"));
  assert.deepEqual(words("run-blackstart.mount", "Type"), ["tmpfs,ramfs"]);
});

systemdUnits("all that use the network may use the same addresses", () => {
  const allowed = words("blackstart-restore.service", "IPAddressAllow");
  for (const unit of [...captures, "blackstart-settle.service"]) {
    assert.deepEqual(words(unit, "IPAddressAllow"), allowed, unit);
  }
});

systemdUnits("restore may use every unicast address and no other", async () => {
  const { BlockList } = await import("node:net");
  // One list each: ::/1 holds the IPv4 addresses that are mapped into IPv6.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const range of words("blackstart-restore.service", "IPAddressAllow")) {
    const [address = "", prefix] = range.split("/");
    const family = address.includes(":") ? "ipv6" : "ipv4";
    lists[family].addSubnet(address, Number(prefix), family);
  }
  for (const address of [
    "10.0.0.1",
    "127.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "203.0.113.9",
    "223.255.255.1",
  ]) {
    assert.ok(lists.ipv4.check(address), address);
  }
  for (const address of ["::1", "2001:db8::1", "fd00::1", "fe80::1", "64:ff9b::a00:1"]) {
    assert.ok(lists.ipv6.check(address, "ipv6"), address);
  }
  assert.ok(!lists.ipv4.check("224.0.0.251"));
  assert.ok(!lists.ipv4.check("255.255.255.255"));
  assert.ok(!lists.ipv6.check("ff02::fb", "ipv6"));
});

systemdUnits.run();
