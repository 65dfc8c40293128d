import { posix } from "node:path";
import { Failure } from "../errors.ts";
import { type PodContext, podName } from "./pod-context.ts";

/** Limits of one component and of a whole path. Source: v1.37.2 `volume/util/atomic_writer.go`. */
const maxNameBytes = 255;
const maxPathBytes = 4096;

/**
 * Pure. Accepts a key of a Secret or ConfigMap as a file name.
 *
 * Source: apimachinery v0.37.2 `validation.go: IsConfigMapKey()`.
 *
 * @throws {Failure} E_PATH_KEY only when it could be no file of a volume
 */
export function checkKey(context: PodContext, kind: string, object: string, key: string): void {
  if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key) || key === "." || key.startsWith("..")) {
    throw new Failure("E_PATH_KEY", {
      what: `key ${JSON.stringify(key).slice(0, 80)} of ${kind} ${context.namespace}/${object} is not a valid file name`,
      where: podName(context),
      next: "Correct the object",
    });
  }
}

/**
 * Pure. Accepts the path of a volume's item, cleaned of `.` components.
 *
 * Source: v1.37.2 `atomic_writer.go: validatePath()`, `validation.go: validateLocalNonReservedPath()`.
 *
 * @param seen the paths of the same source so far; the accepted one is added
 * @throws {Failure} E_PATH_ITEM only when no volume can hold it, E_PATH_CONFLICT only when `seen` has it
 */
export function checkPath(
  context: PodContext,
  path: string,
  place: string,
  seen: Set<string>,
): string {
  const parts = path.split("/");
  const isValid =
    path !== "" &&
    !path.includes("\0") &&
    Buffer.byteLength(path) <= maxPathBytes &&
    parts.every(
      (part) => part !== ".." && part !== "" && Buffer.byteLength(part) <= maxNameBytes,
    ) &&
    !path.startsWith("..");
  const clean = posix.normalize(path);
  if (!isValid || clean === "." || clean.startsWith("..")) {
    throw new Failure("E_PATH_ITEM", {
      what: `${podName(context)} has an item path that no volume can hold`,
      where: place,
      found: `${JSON.stringify(path).slice(0, 80)}, ${Buffer.byteLength(path)} bytes`,
      next: "Use a relative path without `..` or empty components",
    });
  }
  if (seen.has(clean)) {
    throw new Failure("E_PATH_CONFLICT", {
      what: `${podName(context)} has two items with one path`,
      where: place,
      found: JSON.stringify(clean).slice(0, 80),
      next: "Correct the paths of the volume's items",
    });
  }
  seen.add(clean);
  return clean;
}
