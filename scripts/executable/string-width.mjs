// Stands in for string-width in the bundle: the real one builds three Intl.Segmenter at load (20 ms),
// and our help texts are plain ASCII.
import stripAnsi from "./strip-ansi.mjs";

/** @param {string} text */
export default function stringWidth(text) {
  return stripAnsi(text).length;
}
