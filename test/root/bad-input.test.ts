import assert from "node:assert/strict";
import { chownSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { assertFails, assertWellSaid, describe, run } from "../end-to-end/executable.ts";
import { document } from "../end-to-end/leak/bad-documents.ts";
import { capture, memory, type NodeRoot, nodeWithStore } from "../end-to-end/node-root.ts";
import { base64, objects, pod, podLink, secret } from "../end-to-end/objects.ts";
import { missingPrivilege } from "./project-namespace.ts";

const test = suite("root/bad input");

const lacking = missingPrivilege() ?? (memory === undefined ? "no tmpfs is writable" : undefined);

/** A test that needs mounts of its own. */
function asRoot(name: string, check: (node: NodeRoot) => void): void {
  test(name, () => {
    if (lacking !== undefined) {
      console.log(`SKIPPED ${name}: ${lacking}`);
      return;
    }
    using node = nodeWithStore();
    check(node);
  });
}

/** Words that run the rest in a mount namespace of its own, after a script with `$ROOT`. */
function inMounts(node: NodeRoot, script: string, ...prefix: readonly string[]) {
  const whole = `set -e; ROOT=${node.root}; ${script}; exec "$@"`;
  return { before: ["unshare", "-m", "sh", "-c", whole, "sh", ...prefix] };
}

const mountRun = (options: string) =>
  `mkdir -p $ROOT/run/blackstart; mount -t tmpfs -o mode=0700,${options} x $ROOT/run/blackstart`;

const swapOn = (node: NodeRoot): string => {
  const text = "Filename\t\t\tType\t\tSize\tUsed\tPriority\n/dev/x partition 1 0 -2\n";
  writeFileSync(node.at("swaps"), text);
  return `${mountRun("size=1m")}; mount --bind $ROOT/swaps /proc/swaps`;
};

asRoot("case 78: swap is on and the tmpfs may be swapped", (node) => {
  writeFileSync(node.at("etc/blackstart/config.yaml"), "swap: refuse\n");
  const words = ["restore", "--force", "--root", node.root];
  const result = run(words, inMounts(node, swapOn(node)));
  assertFails(result, "E_SWAP", 78);
  assert.match(result.stderr, /noswap.*swap: allow/);
  assert.deepEqual(readdirSync(node.manifests), []);

  writeFileSync(node.at("etc/blackstart/config.yaml"), "swap: allow\n");
  const allowed = run(words, inMounts(node, swapOn(node)));
  assert.equal(allowed.status, 0, describe(allowed));
  assert.match(allowed.stderr, /W_NOSWAP: .*swap is on and allowed/);
});

for (const options of ["size=256k", "nr_inodes=50"]) {
  asRoot(
    `case 79: the tmpfs (${options}) is too small for one pod, which is left out whole`,
    (node) => {
      const data = Object.fromEntries(
        Array.from({ length: 60 }, (_, at) => [`k${at}`, base64("x".repeat(8_000))]),
      );
      const metadata = { name: "large", namespace: "kube-system" };
      const large = pod({
        metadata: { ...metadata, uid: undefined },
        spec: {
          containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
          volumes: [{ name: "v", secret: { secretName: "large" } }],
        },
      });
      capture(node, ...objects(), large, { ...secret({ data }), metadata });
      const list = "sh -c '\"$@\"; s=$?; find $0; exit $s'";
      const script = `${mountRun(options)}; set -- ${list} $ROOT/run/blackstart "$@"`;
      const words = ["restore", "--force", "--root", node.root];
      const result = run(words, inMounts(node, script));
      assertWellSaid(result);
      assert.equal(result.status, 73, describe(result));
      assert.match(
        result.stderr,
        /left out kube-system\/large: E_NOSPACE_TMPFS: .*needs \d+ bytes and \d+ inodes, free are \d+ bytes and \d+ inodes/,
      );
      assert.deepEqual(readdirSync(node.manifests), [podLink]);
      assert.match(result.stdout, /kube-system_web/);
      assert.doesNotMatch(result.stdout, /kube-system_large|\.blackstart-/);
    },
  );
}

asRoot(
  "case 80: the store's disk is full: the older generation makes room, the newest stays",
  (node) => {
    const script = `mkdir $ROOT/full; mount -t tmpfs -o size=32k,mode=0700 x $ROOT/full; cp -a $ROOT/var/lib/blackstart/. $ROOT/full
    mount --bind $ROOT/full $ROOT/var/lib/blackstart
    set -- sh -c '"$@"; s=$?; ls $0; exit $s' $ROOT/var/lib/blackstart "$@"`;
    const huge = { huge: base64("x".repeat(60_000)) };
    const items = [
      pod(),
      secret({ data: { ...huge, password: "", key: "" } }),
      ...objects().slice(2),
    ];
    const words = [
      "capture",
      "--node",
      "n1",
      "--root",
      node.root,
      "--from",
      node.objects(...items),
    ];
    const result = run(words, inMounts(node, script));
    assertFails(result, "E_NOSPACE", 73);
    assert.match(
      result.stderr,
      /ENOSPC from \w+; needs 0\.\d MB, 0\.0 MB free; checkpoint 2 stays valid/,
    );
    assert.match(result.stdout, /gen-0{19}2\.jwe/);
    assert.doesNotMatch(result.stdout, /gen-0{19}3|\.tmp-/);
  },
);

asRoot(
  "case 82: the disks are read-only: nothing is captured, and a cold boot is restored",
  (node) => {
    const readOnly = `${mountRun("size=1m")}; mount --bind $ROOT/var $ROOT/var; mount -o remount,ro,bind $ROOT/var`;
    const from = node.objects(...objects());
    const words = ["capture", "--node", "n1", "--root", node.root, "--from", from];
    const captured = run(words, inMounts(node, readOnly));
    assertFails(captured, "E_READONLY", 73);

    const restored = run(["restore", "--force", "--root", node.root], inMounts(node, readOnly));
    assertWellSaid(restored);
    assert.equal(restored.status, 0, describe(restored));
    assert.match(restored.stderr, /W_ATTEMPTS: .*this boot is not counted.*EROFS/);
    assert.match(restored.stderr, /project: 1 of 1 pod/);
  },
);

asRoot("case 82: the manifest directory is read-only, which is told", (node) => {
  const script = `${mountRun("size=1m")}; mount --bind $ROOT/etc $ROOT/etc; mount -o remount,ro,bind $ROOT/etc`;
  const result = run(["restore", "--force", "--root", node.root], inMounts(node, script));
  assertWellSaid(result);
  assert.equal(result.status, 73, describe(result));
  assert.match(
    result.stderr,
    /left out kube-system\/web: E_READONLY: .*etc\/kubernetes\/manifests/,
  );
});

asRoot("case 25: a generation that is a device is no file, and nothing waits for it", (node) => {
  rmSync(node.generation(2));
  const made = `mknod ${node.generation(2)} c 5 0`;
  const result = run(["restore", "--force", "--root", node.root], inMounts(node, made));
  assert.equal(result.status, 0, describe(result));
  assert.match(result.stderr, /W_STORE: generation 2 .*generation 1 is used: E_NOT_REGULAR/);
});

asRoot("case 27: a store and a generation of another user are told, and used", (node) => {
  chownSync(node.store, 65_534, 65_534);
  chownSync(node.generation(2), 65_534, 65_534);
  const result = run(["restore", "--force", "--root", node.root]);
  assert.equal(result.status, 0, describe(result));
  assert.equal(result.stderr.match(/W_STORE: E_PERMS: .*owner 65534/g)?.length, 2, result.stderr);
  assert.equal(run(["verify", "--root", node.root]).status, 77);
});

asRoot(
  "case 92: a user without CAP_CHOWN is told which capability is missing, and nothing is written",
  (node) => {
    writeFileSync(node.at("in/document.json"), JSON.stringify(document()));
    const script = `mount -t tmpfs x /run; mkdir -m 0700 /run/blackstart; chown 65534 /run/blackstart
    mount -t tmpfs x /mnt; cp $ROOT/in/document.json /mnt`;
    const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    const result = run(
      ["restore", "--force", "--from", "/mnt/document.json"],
      inMounts(node, script, ...user),
    );
    assertFails(result, "E_PERMS", 77);
    assert.match(result.stderr, /CAP_CHOWN is missing. Run as root/);
    assert.ok(!existsSync(join("/run", "blackstart", "manifests")));
  },
);

test.run();
