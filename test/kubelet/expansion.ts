/**
 * The kubelet's `$(NAME)` expansion, written down a second time for the tests.
 *
 * Pure. Source: v1.37.2 `third_party/forked/golang/expansion/expand.go`.
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  let result = "";
  for (let at = 0; at < text.length; at++) {
    const next = text[at + 1];
    if (text[at] !== "$" || next === undefined) {
      result += text[at];
    } else if (next === "$") {
      result += "$";
      at++;
    } else if (next === "(") {
      const end = text.indexOf(")", at + 2);
      if (end < 0) {
        result += "$(";
        at++;
      } else {
        const name = text.slice(at + 2, end);
        result += variables.get(name) ?? `$(${name})`;
        at = end;
      }
    } else {
      result += `$${next}`;
      at++;
    }
  }
  return result;
}
