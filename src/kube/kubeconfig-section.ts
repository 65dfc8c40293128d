import { posix } from "node:path";
import { Failure } from "../errors.ts";

/** Something that a kubeconfig holds itself or names as a file. */
export type Material =
  | { readonly kind: "inline"; readonly text: string }
  /** Absolute on the node. */
  | { readonly kind: "file"; readonly path: string };

type Fields = Readonly<Record<string, unknown>>;

/** One map of a kubeconfig, read field by field; each reader refuses what kubectl would refuse. */
export interface Section {
  /** undefined where it is absent, null or empty. */
  text(key: string): string | undefined;
  flag(key: string): boolean;
  texts(key: string): readonly string[];
  /** A map of fields; undefined where it is absent or null. */
  section(key: string): Section | undefined;
  /** A list of maps. */
  sections(key: string): readonly Section[];
  /** What is not known here and passed on as it is. */
  value(key: string): unknown;
  keys(): readonly string[];
  /** A path, relative to the kubeconfig's folder. */
  file(key: string): Material | undefined;
  /** A path under `key`, or base64 under `dataKey`. */
  material(key: string, dataKey: string): Material | undefined;
  /** E_KUBECONFIG that names file and field. */
  wrong(key: string, found: string): Failure;
}

/**
 * The cluster and the user of a parsed kubeconfig's current context.
 *
 * Pure. Relative paths start at the kubeconfig's folder.
 * Source: client-go v0.37.2 `tools/clientcmd/validation.go`, `loader.go: ResolvePaths`.
 *
 * @param file  absolute on the node; names the kubeconfig in messages
 * @throws {Failure} E_KUBECONFIG only when there is no such context
 */
export function currentContext(
  document: unknown,
  file: string,
): { readonly cluster: Section; readonly user: Section } {
  const config = sectionOf(fieldsOf(document, "the file", file), "", file);
  const contextName = config.text("current-context");
  if (contextName === undefined) {
    throw config.wrong("current-context", "none");
  }
  const named = (list: string, name: string, kind: string): Section => {
    const matches = config.sections(list).filter((item) => item.value("name") === name);
    const [match] = matches;
    if (match === undefined || matches.length > 1) {
      const count = matches.length === 0 ? "none" : `${matches.length}`;
      throw config.wrong(list, `${count} of the name that is referred to`);
    }
    const field = `${list}.${kind}`;
    return sectionOf(fieldsOf(match.value(kind), field, file), `${field}.`, file);
  };
  const context = named("contexts", contextName, "context");
  const clusterName = context.text("cluster");
  const userName = context.text("user");
  if (clusterName === undefined || userName === undefined) {
    throw config.wrong("contexts.context", `no ${clusterName === undefined ? "cluster" : "user"}`);
  }
  return {
    cluster: named("clusters", clusterName, "cluster"),
    user: named("users", userName, "user"),
  };
}

/** @param prefix  of its fields' names, with a dot at the end */
function sectionOf(fields: Fields, prefix: string, file: string): Section {
  const wrong = (key: string, found: string): Failure => wrongField(`${prefix}${key}`, found, file);
  const text = (key: string): string | undefined => {
    const value = fields[key];
    if (value !== undefined && value !== null && typeof value !== "string") {
      throw wrong(key, "not text");
    }
    return value === null || value === "" ? undefined : value;
  };
  const list = (key: string): readonly unknown[] => {
    const value = fields[key] ?? [];
    if (!Array.isArray(value)) {
      throw wrong(key, "not a list");
    }
    return value;
  };
  const fileAt = (key: string): Material | undefined => {
    const path = text(key);
    return path === undefined
      ? undefined
      : { kind: "file", path: posix.resolve(posix.dirname(file), path) };
  };
  return {
    text,
    wrong,
    file: fileAt,
    value: (key) => fields[key],
    keys: () => Object.keys(fields),
    flag(key) {
      const value = fields[key] ?? false;
      if (typeof value !== "boolean") {
        throw wrong(key, "neither true nor false");
      }
      return value;
    },
    texts: (key) =>
      list(key).map((value) => {
        if (typeof value !== "string") {
          throw wrong(key, "not a list of texts");
        }
        return value;
      }),
    section(key) {
      const value = fields[key];
      const name = `${prefix}${key}`;
      return value === undefined || value === null
        ? undefined
        : sectionOf(fieldsOf(value, name, file), `${name}.`, file);
    },
    sections: (key) =>
      list(key).map((value, index) => {
        const name = `${prefix}${key}[${index}]`;
        return sectionOf(fieldsOf(value, name, file), `${name}.`, file);
      }),
    material(key, dataKey) {
      const data = text(dataKey);
      if (text(key) !== undefined && data !== undefined) {
        throw wrong(key, `both ${key} and ${dataKey}`);
      }
      if (data !== undefined && !/^[A-Za-z0-9+/\r\n]+={0,2}[\r\n]*$/.test(data)) {
        throw wrong(dataKey, "not base64");
      }
      return data === undefined
        ? fileAt(key)
        : { kind: "inline", text: Buffer.from(data, "base64").toString("utf8") };
    },
  };
}

function fieldsOf(value: unknown, field: string, file: string): Fields {
  if (value === null || value === undefined) {
    return {};
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw wrongField(field, "not a map of fields", file);
  }
  return Object.fromEntries(Object.entries(value));
}

/** Pure. E_KUBECONFIG for a field of the file. */
export function wrongField(field: string, found: string, file: string): Failure {
  return new Failure("E_KUBECONFIG", {
    what: "the kubeconfig is not usable",
    where: `${file}, ${field}`,
    found,
    next: "Correct it, or name another with `kubeconfig:` in the configuration",
  });
}
