import type { KubernetesObject } from "../model/kubernetes.ts";
import { ApiFailure, type Asked } from "./api-failure.ts";
import { type Asking, askJson, asObject, garbage } from "./request.ts";

/** A whole list, at one resourceVersion. */
export interface ObjectList {
  /** With `kind` and `apiVersion`, which the items of a list lack. */
  readonly items: readonly KubernetesObject[];
  readonly resourceVersion: string;
}

/** What a list is made of, for its items lack it. */
export interface Kind {
  readonly kind: string;
  readonly apiVersion: string;
}

const pageSize = 500;
/** The most pages of one list: more objects than any node or namespace has. */
const mostPages = 100;

/**
 * Lists in pages, whole or not at all.
 *
 * A page whose token has expired is asked for again from the start, in one piece, as client-go does.
 * Source: client-go v0.37.2 `tools/pager/pager.go: FullListIfExpired`.
 *
 * @param path  absolute, without a query
 * @param query  the selectors, as `fieldSelector=…`; may be empty
 * @throws {ApiFailure} as `askJson`
 */
export async function listObjects(
  path: string,
  query: string,
  kind: Kind,
  asked: Asked,
  asking: Asking,
): Promise<ObjectList> {
  const items: KubernetesObject[] = [];
  let limit = `limit=${pageSize}`;
  let { continues = false } = asking;
  let pages = 0;
  for (let token = ""; ; continues = true) {
    const parameters = [query, limit, token === "" ? "" : `continue=${encodeURIComponent(token)}`];
    const url = `${path}?${parameters.filter((parameter) => parameter !== "").join("&")}`;
    let document: unknown;
    try {
      document = await askJson({ method: "GET", path: url }, asked, {
        ...asking,
        continues,
      });
    } catch (error) {
      if (
        error instanceof ApiFailure &&
        error.code === "E_API_GONE" &&
        token !== "" &&
        limit !== ""
      ) {
        items.length = 0;
        token = "";
        limit = "";
        continue;
      }
      throw error;
    }
    const page = parsePage(document, kind, asked);
    for (const item of page.items) {
      items.push(item); // not spread: a server that ignores the limit may send more than a call takes
    }
    if (page.next === "") {
      refuseTwins(items, asked);
      return { items, resourceVersion: page.resourceVersion };
    }
    if (page.next === token) {
      throw garbage(asked, "one page again and again");
    }
    pages += 1;
    if (pages >= mostPages) {
      throw garbage(asked, `more than ${mostPages} pages`);
    }
    token = page.next;
  }
}

/** A pod that comes twice would be captured twice. */
function refuseTwins(items: readonly KubernetesObject[], asked: Asked): void {
  const names = new Set(
    items.map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`),
  );
  if (names.size < items.length) {
    throw garbage(asked, "one object more than once");
  }
}

function parsePage(document: unknown, kind: Kind, asked: Asked) {
  const list = isRecord(document) ? document : {};
  const metadata = isRecord(list["metadata"]) ? list["metadata"] : {};
  const { resourceVersion, continue: next = "" } = metadata;
  // A typed client writes an empty list as null.
  const items = list["items"] ?? [];
  if (
    list["kind"] !== `${kind.kind}List` ||
    typeof resourceVersion !== "string" ||
    resourceVersion === "" ||
    typeof next !== "string" ||
    !Array.isArray(items)
  ) {
    throw garbage(asked, "JSON that is no list of them");
  }
  return {
    items: items.map((item: unknown) => asObject(withKind(item, kind), asked)),
    resourceVersion,
    next,
  };
}

function withKind(item: unknown, { kind, apiVersion }: Kind): unknown {
  return isRecord(item) ? { kind, apiVersion, ...item } : item;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
