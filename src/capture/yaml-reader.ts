import type { Node, Scalar as ScalarNode } from "yaml";
import { Failure } from "../errors.ts";
import {
  resolveScalar,
  resolveTagged,
  type Scalar,
  scalarKey,
  scalarValue,
} from "./yaml-scalar.ts";

/** Deeper than any Kubernetes object, shallow enough for every recursion over one. */
export const maxDepth = 500;

/** Turns the syntax tree of one document into a value; anchors are those met so far. */
export class YamlReader {
  readonly #yaml: typeof import("yaml");
  readonly #source: string;
  readonly #lineOf: (offset: number) => number;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  #nodes = 0;
  #aliased = 0;
  #aliasDepth = 0;

  constructor(yaml: typeof import("yaml"), source: string, lineOf: (offset: number) => number) {
    this.#yaml = yaml;
    this.#source = source;
    this.#lineOf = lineOf;
  }

  read(node: unknown, depth = 0): unknown {
    const { isAlias, isMap, isNode, isScalar, isSeq } = this.#yaml;
    if (!isNode(node)) {
      return null;
    }
    this.#count(node, depth);
    if (isAlias(node)) {
      return this.#readAlias(node, node.source, depth);
    }
    this.#note(node);
    if (isScalar(node)) {
      const scalar = this.#scalar(node);
      const value = scalarValue(scalar);
      return value === undefined ? this.#fail(node, "a number that JSON cannot hold") : value;
    }
    this.#open.add(node);
    let value: unknown;
    if (isSeq(node)) {
      value = node.items.map((item) => this.read(item, depth + 1));
    } else if (isMap(node)) {
      const object: Record<string, unknown> = {};
      this.#fill(object, node, depth, new Set());
      value = object;
    }
    this.#open.delete(node);
    return value;
  }

  /** Adds the pairs of a mapping in their order; a merge overrides what precedes it, as in kubectl. */
  #fill(object: Record<string, unknown>, node: Node, depth: number, seen: Set<string>): void {
    if (!this.#yaml.isMap(node)) {
      return;
    }
    for (const { key, value } of node.items) {
      if (this.#isMerge(key)) {
        for (const map of this.#mergeSources(value, node)) {
          this.#count(map, depth);
          this.#note(map);
          this.#open.add(map);
          this.#fill(object, map, depth + 1, new Set());
          this.#open.delete(map);
        }
        continue;
      }
      const name = this.#key(key, node, depth);
      if (seen.has(name)) {
        this.#fail(this.#yaml.isNode(key) ? key : node, "a key that is there twice");
      }
      seen.add(name);
      // Not an assignment: that would set the prototype for a key `__proto__`.
      Object.defineProperty(object, name, {
        value: this.read(value, depth + 1),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
  }

  #key(key: unknown, parent: Node, depth: number): string {
    const node = this.#yaml.isAlias(key) ? this.#anchors.get(key.source) : key;
    if (!this.#yaml.isNode(node)) {
      return this.#fail(parent, "an empty key");
    }
    this.#count(node, depth);
    this.#note(node);
    const name = this.#yaml.isScalar(node) ? scalarKey(this.#scalar(node)) : undefined;
    return name ?? this.#fail(node, "a key that is not a name");
  }

  #isMerge(key: unknown): boolean {
    return (
      this.#yaml.isScalar(key) &&
      key.value === "<<" &&
      (key.tag === "tag:yaml.org,2002:merge" || (key.tag === undefined && key.type === "PLAIN"))
    );
  }

  /** The mappings that `<<` names, in the order in which the later overrides the earlier. */
  #mergeSources(value: unknown, parent: Node): Node[] {
    const { isAlias, isMap, isSeq } = this.#yaml;
    const listed = isSeq(value) ? [...value.items].reverse() : [value];
    return listed.map((item) => {
      const map = isAlias(item) ? this.#anchors.get(item.source) : item;
      if (!isMap(map) || this.#open.has(map)) {
        return this.#fail(parent, "`<<` takes a mapping or a list of mappings");
      }
      return map;
    });
  }

  #readAlias(node: Node, name: string, depth: number): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined || this.#open.has(target)) {
      return this.#fail(node, "an alias of nothing before it");
    }
    this.#aliasDepth += 1;
    const value = this.read(target, depth);
    this.#aliasDepth -= 1;
    return value;
  }

  #scalar(node: ScalarNode): Scalar {
    const text = String(node.value ?? "");
    const tag = node.tag?.replace("tag:yaml.org,2002:", "!!");
    if (tag === undefined) {
      return node.type === "PLAIN" ? resolveScalar(text) : { kind: "text", value: text };
    }
    return resolveTagged(tag, text) ?? this.#fail(node, "a value that does not fit its tag");
  }

  #note(node: Node): void {
    if (!this.#yaml.isAlias(node) && "anchor" in node && typeof node.anchor === "string") {
      this.#anchors.set(node.anchor, node);
    }
  }

  /** Limits as go-yaml has them: at most 99 % of a small document's nodes may come from aliases. */
  #count(node: Node, depth: number): void {
    this.#nodes += 1;
    this.#aliased += this.#aliasDepth > 0 ? 1 : 0;
    if (depth > maxDepth) {
      this.#fail(node, `nesting deeper than ${maxDepth} levels`);
    }
    const share = this.#aliased / this.#nodes;
    const allowed = 0.99 - 0.89 * Math.min(1, Math.max(0, (this.#nodes - 400_000) / 3_600_000));
    if (this.#aliased > 100 && this.#nodes > 1_000 && share > allowed) {
      this.#fail(node, "aliases that expand out of proportion");
    }
  }

  #fail(node: Node, found: string): never {
    throw parseFailure(this.#source, this.#lineOf(node.range?.[0] ?? 0), found);
  }
}

/** Pure. The failure of a text that is neither JSON nor YAML; `found` never quotes the text. */
export function parseFailure(source: string, line: number, found: string): Failure {
  return new Failure("E_PARSE", {
    what: "this is neither JSON nor YAML as kubectl reads it",
    where: `${source}:${line}`,
    found,
    next: "Correct the file",
  });
}
