import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What the stand-in kubelet and the last unit reported. */
export interface Boot {
  /** Per unit its properties, as `systemctl show` names them. */
  readonly units: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly journal: string;
  /** Name in the manifest directory to the link's target. */
  readonly links: ReadonlyMap<string, string>;
  /** Name in the manifest directory to the text, read through the link. */
  readonly manifests: ReadonlyMap<string, string>;
  /** Names that could not be read. */
  readonly unreadable: string;
  /** Path to `type mode uid gid target` of all that lies under /run/blackstart. */
  readonly tree: ReadonlyMap<string, string>;
  /** Type and options of the mount at /run/blackstart; empty when there is none. */
  readonly memory: string;
  /** Text of a file below /run/blackstart/pods, links followed. */
  volumeFile(path: string): string;
}

/** Reads the directory that `guest/kubelet` and `guest/report` wrote. */
export function parseBoot(report: string): Boot {
  const read = (name: string) => {
    const file = join(report, name);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  };
  const lines = (name: string) =>
    read(name)
      .split("\n")
      .filter((line) => line !== "");
  const units = read("units")
    .split("\n\n")
    .map((block) => Object.fromEntries(block.trim().split("\n").map(splitAt("="))));
  const manifests = join(report, "manifests");
  return {
    units: Object.fromEntries(units.map((unit) => [unit["Id"], unit])),
    journal: read("journal"),
    links: new Map(lines("links").map(splitAt("\t"))),
    manifests: new Map(
      readdirSync(manifests).map((name) => [name, readFileSync(join(manifests, name), "utf8")]),
    ),
    unreadable: read("unreadable"),
    tree: new Map(
      lines("tree").map((line) => {
        const [path = "", ...rest] = line.split("\t");
        return [path, rest.join(" ").trim()];
      }),
    ),
    memory: read("memory").trim(),
    volumeFile: (path) => read(path.replace(/^\/run\/blackstart\//, "")),
  };
}

function splitAt(separator: string): (line: string) => [string, string] {
  return (line) => {
    const index = line.indexOf(separator);
    return [line.slice(0, index), line.slice(index + separator.length)];
  };
}
