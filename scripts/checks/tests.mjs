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
    const suite = text.match(/^const (\w+) = suite(?:<.*>)?\(/m)?.[1];
    const last = text.trimEnd().split("\n").at(-1);
    if (suite === undefined || last !== `${suite}.run();`) {
      found.push(`${file}: does not end in <suite>.run(); without it no test runs`);
    }
    if (new RegExp(`^\\s*${suite}\\.only\\(`, "m").test(text)) {
      found.push(`${file}: .only leaves the other tests out`);
    }
    if (new RegExp(`^\\s*${suite}\\.before(\\.each)?\\(`, "m").test(text)) {
      found.push(`${file}: what a before hook throws is swallowed; set up inside the test`);
    }
    return found;
  });
}
