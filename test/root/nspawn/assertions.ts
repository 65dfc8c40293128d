import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Machine } from "./machine.ts";
import type { Boot } from "./report.ts";

const restore = "blackstart-restore.service";

/** What `objects.json` holds and no disk may, as it is and as the API writes it. */
const markers = ["marker-tls-key", "marker-token"].flatMap((text) => [
  text,
  Buffer.from(text).toString("base64"),
]);

/** The kubelet found both pods of `objects.json` whole: links, manifests, volumes, modes, owners. */
export function assertRestored(boot: Boot): void {
  assertUnit(boot, restore, { ActiveState: "active", ExecMainStatus: "0", Result: "success" });
  assertKubeletStarted(boot);
  const restored = Number(boot.units[restore]?.["ActiveEnterTimestampMonotonic"]);
  const kubelet = Number(boot.units["kubelet.service"]?.["InactiveExitTimestampMonotonic"]);
  assert.ok(restored > 0 && restored <= kubelet, `restore ${restored}, kubelet ${kubelet}`);

  assert.equal(boot.links.size, 2, boot.journal);
  assert.equal(boot.unreadable, "");
  for (const target of boot.links.values()) {
    assert.match(target, /^\/run\/blackstart\/manifests\//);
    assert.equal(boot.tree.get(target), "f 600 0 0");
  }
  const pods = [...boot.manifests.values()].map(parsePod);
  assert.deepEqual(pods.map(({ name }) => name).sort(), ["keeper-0", "speaker-7xk2p"]);
  const volumes = new Map(pods.flatMap(({ volumes }) => [...volumes]));

  const tls = volumes.get("tls") ?? "";
  assert.match(tls, /^\/run\/blackstart\/pods\//);
  assert.equal(boot.volumeFile(`${tls}/tls.key`), "marker-tls-key");
  // As the kubelet gives them with fsGroup 2000: setgid directories, group-readable files.
  assert.equal(boot.tree.get(tls), "d 3777 0 2000");
  assert.equal(fileBehind(boot, `${tls}/.`), "d 2755 0 2000");
  assert.equal(fileBehind(boot, `${tls}/tls.key`), "f 440 0 2000");

  const scripts = volumes.get("scripts") ?? "";
  assert.match(boot.volumeFile(`${scripts}/start.sh`), /^#!/);
  assert.equal(fileBehind(boot, `${scripts}/start.sh`), "f 755 0 2000");
}

/** The kubelet started, and found no pod. */
export function assertNothingRestored(boot: Boot): void {
  assertKubeletStarted(boot);
  assert.deepEqual([...boot.links.keys()], []);
  assert.deepEqual(
    [...boot.tree.keys()].filter((path) => /\/(manifests|pods)\/./.test(path)),
    [],
  );
}

/** The stand-in kubelet ran to its end. */
export function assertKubeletStarted(boot: Boot): void {
  assertUnit(boot, "kubelet.service", { ActiveState: "active", Result: "success" });
}

/** A unit has these properties, as `systemctl show` names them. */
export function assertUnit(
  boot: Boot,
  unit: string,
  wanted: Readonly<Record<string, string>>,
): void {
  const found = boot.units[unit] ?? {};
  for (const [property, value] of Object.entries(wanted)) {
    assert.equal(found[property], value, `${property} of ${unit}\n${boot.journal}`);
  }
}

/** systemd took every line of our units, and found an order for them. */
export function assertUnitsLoad(boot: Boot): void {
  const complaints = boot.journal
    .split("\n")
    .filter((line) => /ordering cycle|blackstart\S*:\d+: |Unknown (key|section)/.test(line));
  assert.deepEqual(complaints, []);
}

/** No file that a boot left on the disk holds a secret. */
export function assertNoSecretOnDisk({ upper }: Machine): void {
  const found = filesBelow(upper).filter((file) => {
    const bytes = readFileSync(file);
    return markers.some((marker) => bytes.includes(marker));
  });
  assert.deepEqual(found, []);
}

/** Name to digest of every generation that the machine's boots changed or made. */
export function generationsOf({ upper }: Machine): ReadonlyMap<string, string> {
  const store = join(upper, "var/lib/blackstart");
  const files = existsSync(store) ? filesBelow(store) : [];
  return new Map(
    files
      .filter((file) => file.endsWith(".jwe"))
      .map((file) => [file, createHash("sha256").update(readFileSync(file)).digest("hex")]),
  );
}

/** Of an overlay's upper directory: its whiteouts are no files. */
function filesBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Follows the kubelet's layout: `name` -> `..data/name`, `..data` -> the timestamped directory. */
function fileBehind(boot: Boot, path: string): string | undefined {
  const [dir, name] = [dirname(path), basename(path)];
  const data = `${dir}/${boot.tree.get(`${dir}/..data`)?.split(" ").at(-1)}`;
  return boot.tree.get(name === "." ? data : `${data}/${name}`);
}

function parsePod(text: string): {
  readonly name: string;
  readonly volumes: ReadonlyMap<string, string>;
} {
  const pod: unknown = JSON.parse(text);
  const name = stringAt(pod, "metadata", "name");
  const volumes = valueAt(pod, "spec", "volumes");
  return {
    name,
    volumes: new Map(
      (Array.isArray(volumes) ? volumes : []).map((volume) => [
        stringAt(volume, "name"),
        stringAt(volume, "hostPath", "path"),
      ]),
    ),
  };
}

function stringAt(value: unknown, ...path: readonly string[]): string {
  const found = valueAt(value, ...path);
  return typeof found === "string" ? found : "";
}

function valueAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inside, key) =>
      typeof inside === "object" && inside !== null ? Reflect.get(inside, key) : undefined,
    value,
  );
}
