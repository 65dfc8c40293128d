import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { drive, missingPrivilege } from "./project-namespace.ts";

const test = suite("project-memory");
const why = missingPrivilege();

/** A directory on a disk; the repository is on one, /tmp need not be. */
function makeDir(): Disposable & { readonly dir: string } {
  const dir = mkdtempSync("/var/tmp/blackstart-memory-");
  writeFileSync(
    join(dir, "swaps-on"),
    "Filename Type Size Used Priority\n/dev/x partition 1 0 -2\n",
  );
  writeFileSync(join(dir, "swaps-off"), "Filename Type Size Used Priority\n");
  writeFileSync(join(dir, "swaps-hidden"), "");
  // A kernel older than 6.4, as mount(8) meets it.
  const old =
    '#!/bin/sh\ncase "$*" in *noswap*) echo "bad option" >&2; exit 32;; esac\nexec /bin/busy-mount "$@"\n';
  writeFileSync(join(dir, "old-mount"), old.replace("/bin/busy-mount", join(dir, "mount")), {
    mode: 0o755,
  });
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

const oldKernel =
  'm=$(readlink -f "$(command -v mount)"); cp "$m" D/mount; D/mount --bind D/old-mount "$m"';
const swaps = (state: string) => `mount --bind D/swaps-${state} /proc/swaps`;
const plain = "mkdir D/run; mount -t tmpfs x D/run";

const cases = [
  {
    name: "a disk gets a tmpfs that is never swapped",
    before: swaps("on"),
    kind: "tmpfs",
    noswap: true,
    log: /tmpfs, never swapped/,
    warnings: [],
  },
  {
    name: "an old kernel gets a ramfs",
    before: `${swaps("on")}; ${oldKernel}`,
    kind: "ramfs",
    noswap: true,
    log: /ramfs/,
    warnings: [],
  },
  {
    name: "a tmpfs with noswap is taken as it is",
    before: `${swaps("on")}; mkdir D/run; mount -t tmpfs -o noswap x D/run`,
    kind: "tmpfs",
    noswap: true,
    log: undefined,
    warnings: [],
  },
  {
    name: "a plain tmpfs without swap is taken as it is",
    before: `${swaps("off")}; ${plain}`,
    kind: "tmpfs",
    noswap: false,
    log: undefined,
    warnings: [],
  },
  {
    name: "an empty plain tmpfs with swap gets a better one over it",
    before: `${swaps("on")}; ${plain}`,
    kind: "tmpfs",
    noswap: true,
    log: /never swapped/,
    warnings: [],
  },
  {
    name: "a plain tmpfs in use with swap is refused",
    before: `${swaps("on")}; ${plain}; touch D/run/x`,
    thrown: "E_SWAP",
  },
  {
    name: "a plain tmpfs in use with swap allowed is warned about",
    before: `${swaps("on")}; ${plain}; touch D/run/x`,
    swap: "allow",
    kind: "tmpfs",
    noswap: false,
    log: undefined,
    warnings: ["W_NOSWAP"],
  },
  {
    name: "swap that cannot be seen is warned about",
    before: `${swaps("hidden")}; ${plain}; touch D/run/x`,
    kind: "tmpfs",
    noswap: false,
    log: undefined,
    warnings: ["W_NOSWAP"],
  },
  {
    name: "a disk where nothing can be mounted is refused",
    before: `mount --bind /bin/false "$(readlink -f "$(command -v mount)")"`,
    thrown: "E_NO_TMPFS",
  },
  {
    name: "a disk under another root is refused and nothing is mounted",
    before: "true",
    root: true,
    thrown: "E_NOT_MEMORY",
  },
] as const;

if (why !== undefined) {
  test("memory", () => console.log(`SKIPPED tmpfs, noswap and swap: ${why}`));
} else {
  for (const one of cases) {
    test(one.name, () => {
      using site = makeDir();
      const order =
        "root" in one ? { root: site.dir, runDir: "/run" } : { runDir: join(site.dir, "run") };
      const swap = "swap" in one ? one.swap : "refuse";
      const answer = drive(one.before.replaceAll("D/", `${site.dir}/`), { ...order, swap });
      if ("thrown" in one) {
        assert.equal(answer.thrown, one.thrown);
        return;
      }
      assert.deepEqual(
        [answer.thrown, answer.kind, answer.noswap, answer.warnings],
        [undefined, one.kind, one.noswap, one.warnings],
      );
      assert.match(answer.log.join("\n"), one.log ?? /^$/);
    });
  }
}

test.run();
