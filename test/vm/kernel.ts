import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { demandRun } from "./run.ts";

/** A kernel of Debian's for virtual machines. */
export interface Kernel {
  readonly version: string;
  /** Absolute. */
  readonly image: string;
  /** Absolute: the folder /lib/modules/VERSION. */
  readonly modules: string;
}

const metapackage = "linux-image-cloud-amd64";

/** What is needed to see the root file system, in the order of loading; modprobe adds what each depends on. */
const rootModules = ["virtio_pci", "virtio_blk", "ext4", "virtio_net", "overlay", "veth"];

/** Gives the newest kernel that apt knows; downloaded once, then kept in the user's cache. */
export function fetchKernel(): Kernel {
  const name = packageName();
  const version = name.replace("linux-image-", "");
  const dir = join(cacheDir(), `vm-${name}`);
  if (!existsSync(dir)) {
    const work = mkdtempSync(join(tmpdir(), "blackstart-kernel-"));
    try {
      demandRun("apt-get", ["-o", "APT::Sandbox::User=root", "download", name], { cwd: work });
      const [archive = ""] = readdirSync(work);
      demandRun("dpkg-deb", ["-x", join(work, archive), join(work, "tree")]);
      mkdirSync(cacheDir(), { recursive: true });
      demandRun("cp", ["-a", join(work, "tree"), `${dir}.${process.pid}`]);
      renameSync(`${dir}.${process.pid}`, dir);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return {
    version,
    image: join(dir, `boot/vmlinuz-${version}`),
    modules: join(dir, "lib/modules", version),
  };
}

/** Why apt knows no kernel; undefined where it does. */
export function reasonForNoKernel(): string | undefined {
  try {
    packageName();
    return undefined;
  } catch (error) {
    return `no ${metapackage}: ${error instanceof Error ? error.message : error}`;
  }
}

/** Puts the kernel's modules into a machine's tree and gives the modules that its first files need, absolute. */
export function installModules(tree: string, kernel: Kernel): readonly string[] {
  mkdirSync(join(tree, "usr/lib/modules"), { recursive: true });
  demandRun("cp", ["-a", kernel.modules, join(tree, "usr/lib/modules/")]);
  demandRun("chroot", [tree, "depmod", kernel.version]);
  const lines = rootModules.flatMap((name) =>
    demandRun("chroot", [tree, "modprobe", "--show-depends", "-S", kernel.version, name]).split(
      "\n",
    ),
  );
  const files = lines.flatMap((line) => line.match(/^insmod (\S+)/)?.[1] ?? []);
  return [...new Set(files)].map((file) => join(tree, file));
}

/**
 * Writes an initramfs that loads the modules, mounts /dev/vda and becomes its init.
 *
 * Ten times faster than a distribution's where a processor is emulated.
 */
export function makeInitramfs(file: string, modules: readonly string[]): void {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-initramfs-"));
  try {
    for (const folder of ["bin", "dev", "proc", "sys", "root", "modules"]) {
      mkdirSync(join(dir, folder));
    }
    copyFileSync("/bin/busybox", join(dir, "bin/busybox"));
    for (const module of modules) {
      copyFileSync(module, join(dir, "modules", basename(module)));
    }
    const loads = modules.map((module) => `$b insmod /modules/${basename(module)}`);
    writeFileSync(
      join(dir, "init"),
      `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
${loads.join("\n")}
until test -e /dev/vda; do $b usleep 20000; done
$b mount -t ext4 /dev/vda /root || exec $b sh
$b umount /proc
$b mount --move /dev /root/dev
exec $b switch_root /root /sbin/init
`,
    );
    chmodSync(join(dir, "init"), 0o755);
    demandRun("sh", ["-c", 'find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 > "$0"', file], {
      cwd: dir,
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function cacheDir(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "blackstart");
}

function packageName(): string {
  const { status, stdout, stderr, error } = spawnSync("apt-cache", ["depends", metapackage], {
    encoding: "utf8",
  });
  const name = stdout?.match(/Depends: (linux-image-\S+)/)?.[1];
  if (status !== 0 || name === undefined) {
    throw new Error(
      `apt-cache depends ${metapackage}: ${error?.message ?? stderr} (apt-get update?)`,
    );
  }
  return name;
}
