// Stands in for strip-ansi in the bundle; see string-width.mjs.

/** @param {string} text */
export default function stripAnsi(text) {
  return text.replaceAll(/\u001b\[[0-9;]*m/g, "");
}
