import { Failure } from "../errors.ts";
import type { AnchoredDir } from "./anchored-dir.ts";

/**
 * Walks the directories of a tree that nobody else can move, by their paths relative to its top.
 *
 * Every component is opened without following links. At most one descriptor besides the top's is
 * open, and a step to a child or to the parent costs one open(2), however deep the tree is.
 */
export class TreeCursor implements Disposable {
  readonly #top: AnchoredDir;
  #here: AnchoredDir;
  #path: readonly string[] = [];

  constructor(top: AnchoredDir) {
    this.#top = top;
    this.#here = top;
  }

  /**
   * Gives the directory at `path` ("." is the top). It is closed by the next call.
   *
   * @throws {Failure} E_PATH_ITEM only when the path is absolute or leaves the tree
   */
  enter(path: string): AnchoredDir {
    return this.#enter(componentsOf(path));
  }

  /**
   * Gives the directory that an entry lies in, and the entry's name in it.
   *
   * @throws {Failure} E_PATH_ITEM only when the path is absolute, leaves the tree, or is its top
   */
  locate(path: string): { readonly dir: AnchoredDir; readonly name: string } {
    const components = componentsOf(path);
    const name = components.at(-1);
    if (name === undefined) {
      throw outside(path);
    }
    return { dir: this.#enter(components.slice(0, -1)), name };
  }

  #enter(wanted: readonly string[]): AnchoredDir {
    const above = wanted.length === this.#path.length - 1 && isPrefix(wanted, this.#path);
    if (above && wanted.length > 0) {
      this.#move(this.#here.openParent());
      this.#path = wanted;
      return this.#here;
    }
    let depth = this.#path.length;
    if (!isPrefix(this.#path, wanted)) {
      this.#move(this.#top);
      depth = 0;
    }
    for (const name of wanted.slice(depth)) {
      this.#move(this.#here.openChild(name));
    }
    this.#path = wanted;
    return this.#here;
  }

  #move(next: AnchoredDir): void {
    const before = this.#here;
    this.#here = next;
    if (before !== this.#top) {
      before[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#move(this.#top);
  }
}

/** The plan was checked when it was made; this guards against a mistake of ours. */
function componentsOf(path: string): readonly string[] {
  if (path === ".") {
    return [];
  }
  const components = path.split("/");
  if (
    components.some((name) => name === "" || name === "." || name === ".." || name.includes("\0"))
  ) {
    throw outside(path);
  }
  return components;
}

function outside(path: string): Failure {
  return new Failure("E_PATH_ITEM", {
    what: "a volume's plan names a path outside of the volume",
    found: JSON.stringify(path.slice(0, 200)),
    next: "Report this as a bug",
  });
}

function isPrefix(short: readonly string[], long: readonly string[]): boolean {
  return short.length <= long.length && short.every((name, index) => name === long[index]);
}
