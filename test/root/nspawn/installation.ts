import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

const here = import.meta.dirname;
const repository = join(here, "../../..");

/** The program under test. */
export const executable =
  process.env["BLACKSTART_EXECUTABLE"] ?? join(repository, "dist/blackstart");

/** Files that a machine differs in: absolute path to text; a text that starts with `#!` is executable. */
export type Files = Readonly<Record<string, string>>;

/** Installs units and executable as a package would, and the stand-in kubelet, into a disk's tree. */
export function install(upper: string): void {
  const place = (from: string, to: string, mode = 0o644) => {
    mkdirSync(dirname(join(upper, to)), { recursive: true });
    cpSync(from, join(upper, to));
    chmodSync(join(upper, to), mode);
  };
  const units = join(repository, "systemd");
  for (const name of readdirSync(units).filter((file) => /\.(service|mount|timer)$/.test(file))) {
    place(join(units, name), `usr/lib/systemd/system/${name}`);
  }
  place(join(units, "blackstart.tmpfiles"), "usr/lib/tmpfiles.d/blackstart.conf");
  place(join(units, "blackstart.preset"), "usr/lib/systemd/system-preset/80-blackstart.preset");
  place(executable, "usr/bin/blackstart", 0o755);
  for (const name of ["kubelet", "report"]) {
    place(join(here, "guest", name), `usr/local/bin/${name}`, 0o755);
    place(join(here, "guest", `${name}.service`), `etc/systemd/system/${name}.service`);
    const wants = join(upper, "etc/systemd/system/multi-user.target.wants");
    mkdirSync(wants, { recursive: true });
    symlinkSync(`../${name}.service`, join(wants, `${name}.service`));
  }
  mkdirSync(join(upper, "etc/kubernetes/manifests"), { recursive: true });
  mkdirSync(join(upper, "report"));
  writeFiles(upper, {
    "/etc/machine-id": "5f0c3d0f6d1c4b7f9c1d2e3f4a5b6c7d\n",
    "/etc/hostname": "node1\n",
  });
}

/** Writes files into a disk's tree; one that is there is replaced. */
export function writeFiles(upper: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    const file = join(upper, path);
    mkdirSync(dirname(file), { recursive: true });
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: text.startsWith("#!") ? 0o755 : 0o644 });
  }
}
