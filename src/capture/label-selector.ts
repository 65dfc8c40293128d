import { Failure } from "../errors.ts";

/** One requirement of a label selector. */
export type Requirement =
  | { readonly kind: "in" | "notin"; readonly key: string; readonly values: readonly string[] }
  | { readonly kind: "exists" | "absent"; readonly key: string };

/** Qualified name: an optional DNS prefix and a name. Source: apimachinery v0.37.2 `IsQualifiedName`. */
const keyPattern =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const valuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const setPattern = /^\s*(\S+?)\s+(in|notin)\s*\(([^()]*)\)\s*$/;
const equalityPattern = /^\s*([^\s!=]+)\s*(==|=|!=)\s*([^\s!=]*)\s*$/;
const existsPattern = /^\s*(!?)\s*([^\s!=]+)\s*$/;

/**
 * Parses a label selector as `kubectl get -l` takes it.
 *
 * Pure. An empty text selects everything. `notin` and `!=` also match where the label is absent.
 * Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ and
 * apimachinery v0.37.2 `pkg/labels/selector.go` (except for its `<` and `>`).
 *
 * @throws {Failure} E_CONFIG only when the text is not a label selector
 */
export function parseLabelSelector(text: string): readonly Requirement[] {
  if (text.trim() === "") {
    return [];
  }
  return splitTopLevel(text).map((part) => {
    const requirement = parseRequirement(part);
    if (requirement === undefined) {
      throw new Failure("E_CONFIG", {
        what: "the label selector is malformed",
        where: "select.labelSelector",
        found: JSON.stringify(part.trim()).slice(0, 120),
        next: "Write it as for `kubectl get -l`, for example tier=control-plane,env in (a, b)",
      });
    }
    return requirement;
  });
}

/** Pure. True when labels fulfil every requirement. */
export function matchesLabels(
  requirements: readonly Requirement[],
  labels: Readonly<Record<string, string>>,
): boolean {
  return requirements.every((requirement) => isMet(requirement, labels));
}

function isMet(requirement: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const { kind, key } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (kind) {
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
    case "in":
      return value !== undefined && requirement.values.includes(value);
    case "notin":
      return value === undefined || !requirement.values.includes(value);
  }
}

/** Splits at commas outside of parentheses. */
function splitTopLevel(text: string): readonly string[] {
  return text.split(/,(?![^(]*\))/);
}

function parseRequirement(part: string): Requirement | undefined {
  const set = setPattern.exec(part);
  if (set !== null) {
    const [, key = "", operator, list = ""] = set;
    const values = list.split(",").map((value) => value.trim());
    return checked({ kind: operator === "in" ? "in" : "notin", key, values });
  }
  const equality = equalityPattern.exec(part);
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality;
    return checked({ kind: operator === "!=" ? "notin" : "in", key, values: [value] });
  }
  const exists = existsPattern.exec(part);
  if (exists !== null) {
    const [, not, key = ""] = exists;
    return checked({ kind: not === "!" ? "absent" : "exists", key });
  }
  return undefined;
}

function checked(requirement: Requirement): Requirement | undefined {
  const values = "values" in requirement ? requirement.values : [];
  return keyPattern.test(requirement.key) && values.every((value) => valuePattern.test(value))
    ? requirement
    : undefined;
}
