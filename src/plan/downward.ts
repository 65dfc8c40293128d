import type { Container, Quantity, ResourceFieldSelector } from "../model/kubernetes.ts";
import { isGoPrintable } from "./go-printable.ts";
import type { PodContext } from "./pod-context.ts";
import { divideQuantity, nanoOf } from "./quantity.ts";

/**
 * What the downward API gave the parent for a field of its own, undefined when the kubelet must say.
 *
 * Pure. Only fields whose value would differ in a static pod have an answer here: its name, uid,
 * service account, labels and annotations are not the parent's. `metadata.namespace` is answered too,
 * because volumes are written without a kubelet.
 * Source: v1.37.2 `pkg/fieldpath/fieldpath.go`, `kubelet_pods.go: podFieldSelectorRuntimeValue()`.
 */
export function fieldValue(context: PodContext, fieldPath: string): string | undefined {
  const { metadata, spec } = context.pod;
  const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/s.exec(fieldPath);
  if (subscript !== null) {
    const [, field, key = ""] = subscript;
    const map = field === "metadata.labels" ? (metadata.labels ?? {}) : annotationsOf(context);
    return Object.hasOwn(map, key) ? map[key] : "";
  }
  switch (fieldPath) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return context.namespace;
    case "metadata.uid":
      return metadata.uid ?? undefined;
    case "metadata.labels":
      return formatMap(metadata.labels ?? {});
    case "metadata.annotations":
      return formatMap(annotationsOf(context));
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? spec.serviceAccount ?? "";
    default:
      return undefined;
  }
}

/**
 * The kubelet marks every pod that it reads with the source; the time when it saw it is not known here.
 * Source: v1.37.2 `pkg/kubelet/config/config.go: merge()`.
 */
function annotationsOf({ pod }: PodContext): Readonly<Record<string, string>> {
  return { ...pod.metadata.annotations, "kubernetes.io/config.source": "api" };
}

/**
 * What the downward API gave for a resource of a container.
 *
 * Pure. A limit that is not set is the node's allocatable amount; undefined when that is not known.
 * Requests fall back to limits, as the apiserver's defaulting writes them into the pod.
 *
 * @throws {Failure} E_OBJECT only when a quantity is malformed
 */
export function resourceValue(
  context: PodContext,
  container: Container,
  { resource, divisor }: ResourceFieldSelector,
): string | undefined {
  const [kind, ...rest] = resource.split(".");
  const name = rest.join(".");
  const limit = quantityOf(container.resources?.limits, name);
  const request = quantityOf(container.resources?.requests, name) ?? limit ?? "0";
  const quantity =
    kind === "requests" ? request : (nonZero(limit) ?? allocatable(context, name, limit));
  return quantity === undefined ? undefined : divideQuantity(name, quantity, divisor ?? undefined);
}

function allocatable(
  context: PodContext,
  name: string,
  limit: Quantity | undefined,
): Quantity | undefined {
  if (name.startsWith("hugepages-")) {
    return limit ?? "0";
  }
  const status = context.index.find("Node", "", context.node)?.["status"];
  const amounts = isRecord(status) ? status["allocatable"] : undefined;
  const amount = isRecord(amounts) && Object.hasOwn(amounts, name) ? amounts[name] : undefined;
  return typeof amount === "string" || typeof amount === "number" ? amount : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function quantityOf(
  map: Readonly<Record<string, Quantity>> | null | undefined,
  name: string,
): Quantity | undefined {
  return map != null && Object.hasOwn(map, name) ? map[name] : undefined;
}

function nonZero(quantity: Quantity | undefined): Quantity | undefined {
  return quantity === undefined || nanoOf(quantity) === 0n ? undefined : quantity;
}

/**
 * Pure. One `key="value"` a line, sorted, values quoted as Go does.
 * Source: v1.37.2 `pkg/fieldpath/fieldpath.go: FormatMap()`.
 */
export function formatMap(map: Readonly<Record<string, string>>): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${quoteGo(map[key] ?? "")}`)
    .join("\n");
}

const escapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/**
 * Pure. A Go string literal in double quotes: printable characters as they are.
 * Source: Go 1.26 `strconv/quote.go: appendEscapedRune()`, `unicode.IsPrint`.
 */
export function quoteGo(text: string): string {
  let quoted = '"';
  for (const character of text.toWellFormed()) {
    quoted += escapes[character] ?? (isGoPrintable(character) ? character : escapeRune(character));
  }
  return `${quoted}"`;
}

function escapeRune(character: string): string {
  const rune = character.codePointAt(0) ?? 0;
  const hex = rune.toString(16);
  if (rune < 0x20 || rune === 0x7f) {
    return `\\x${hex.padStart(2, "0")}`;
  }
  return rune < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
