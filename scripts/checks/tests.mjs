// The ways in which a uvu test file passes without testing.

/** @typedef {import("./layers.mjs").Files} Files */

/**
 * @param {Files} files
 * @returns {string[]}
 */
export function checkTests(files) {
  return [...files].flatMap(([file, text]) => {
    if (!file.endsWith(".test.ts")) {
      return [];
    }
    const found = [];
    const suites = [...text.matchAll(/^const (\w+) = suite(?:<.*>)?\(/gm)].map(([, name]) => name);
    const last = text.trimEnd().split("\n").at(-1);
    if (!suites.some((suite) => last === `${suite}.run();`)) {
      found.push(`${file}: does not end in <suite>.run(); without it no test runs`);
    }
    for (const suite of suites) {
      /** @param {string} call */
      const has = (call) => new RegExp(`^\\s*${suite}\\.${call}`, "m").test(text);
      if (suites.length > 1 && !has("run\\(\\);$")) {
        found.push(`${file}: ${suite} is never run`);
      }
      if (has("only\\(")) {
        found.push(`${file}: .only leaves the other tests out`);
      }
      if (has("before(\\.each)?\\(")) {
        found.push(`${file}: what a before hook throws is swallowed; set up inside the test`);
      }
    }
    return found;
  });
}
