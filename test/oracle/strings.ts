// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what is tested

import type { Random } from "./random.ts";

/** Texts that a careless copy changes: every form of `$`, bytes beside ASCII, quotes, YAML's traps. */
export const texts = [
  "plain",
  "",
  " ",
  "$",
  "$$",
  "$$$",
  "$$$$",
  "$(A)",
  "$$(A)",
  "$$$(A)",
  "$$$$(A)",
  "$(",
  "$(A",
  "$()",
  "$( A )",
  "$)A(",
  "a$(A)b$(B)c",
  "$(A)$(A)",
  "$(A$(B))",
  "$(MISSING)",
  "$(with.dot)-$(-dash)-$(1digit)",
  "$(P_KEY)",
  "$(my key)",
  "$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)",
  "$(FOO_SERVICE_HOST)",
  "$(FOO_PORT)",
  "$A ${A} $((A))",
  "ends in $",
  "ends in $$",
  "é",
  "$é",
  "$$é",
  "x$é$(A)",
  "$日本$(B)",
  "日本語 ☃ 😀",
  "😀$(A)😀",
  "line one\nline two\n",
  "\r\n\ttabs\t",
  "quotes \"'` and \\ back\\$(A)",
  '{"json": "$(A)"}',
  "- yaml: [x, *y]",
  "true",
  "0400",
  "null",
  "~",
  "1e3",
  "<&>\u2028\u2029\u007f",
  "\u0001\u001b[0m",
  "\ufeffbom \ufffd",
  "a".repeat(4096),
] as const;

/** A text of the list, or one of code points from anywhere in Unicode, or of pieces that expansion knows. */
export function textOf(choose: Random): string {
  const roll = choose.int(10);
  if (roll < 6) {
    return choose.pick(texts);
  }
  const length = 1 + choose.int(8);
  return Array.from({ length }, () => (roll < 8 ? anyCharacter(choose) : choose.pick(pieces))).join(
    "",
  );
}

const pieces = [
  "$",
  "$",
  "(",
  ")",
  "A",
  "B",
  "$(A)",
  "$(B",
  "$$",
  "P_KEY",
  " ",
  "é",
  "\\",
  '"',
  "\n",
] as const;

function anyCharacter(choose: Random): string {
  const limit = choose.pick([0x80, 0x250, 0x3000, 0xd800, 0x20000, 0x110000]);
  const point = choose.int(limit);
  return point === 0 || (point >= 0xd800 && point < 0xe000) ? "?" : String.fromCodePoint(point);
}

/** Bytes for Secrets and binaryData; the last two are not UTF-8. */
export const binaries = [
  Buffer.from("\0nul\0"),
  Buffer.from([]),
  Buffer.from("\ufeffé"),
  Buffer.from([0xff, 0xfe, 0x00, 0x80]),
  Buffer.from([0xc3, 0x28, 0x24, 0x28, 0x41, 0x29]),
] as const;

/** Names of environment variables as 1.37 allows them: any printable ASCII but `=`. */
export const envNames = [
  "A",
  "B",
  "C",
  "P_KEY",
  "FOO",
  "with.dot",
  "-dash",
  "1digit",
  "my key",
  "_",
  "$X",
  "a:b",
  "FOO_SERVICE_HOST",
  "KUBERNETES_SERVICE_HOST",
  "KUBERNETES_PORT",
  "POD_NAME",
] as const;

/** Keys of Secrets and ConfigMaps. */
export const keys = [
  "A",
  "B",
  "KEY",
  "1digit",
  "with.dot",
  "-dash",
  "_under",
  ".hidden",
  "tls.crt",
  "lower",
  "FOO_SERVICE_PORT",
  "x".repeat(200),
] as const;

export const prefixes = ["", "P_", "p.", "1", "-", "my ", "$"] as const;

/** Paths of items; none is another one's directory, whatever is chosen. */
export const itemPaths = [
  "a",
  "b",
  "dir/a",
  "dir/b",
  "dir/sub/c",
  "dir/sub/d",
  "deep/er/and/deeper/e",
  ".dot",
  "with space/ü",
  "a.b",
  "sub/.x",
] as const;

/** Paths that the kubelet cleans and we refuse. */
export const oddPaths = ["twice//slashed", "slash/"] as const;

export const modes = [0, 0o400, 0o440, 0o600, 0o640, 0o644, 0o511, 0o222, 0o755, 0o777] as const;

/** Where volumes are mounted: nested, with slashes too many, beside one another by prefix. */
export const mountPaths = [
  "/etc/a",
  "/etc/a/",
  "/etc/a/b",
  "/etc/a/b/c",
  "/etc/a//d/../e",
  "/etc/a/dir",
  "/etc/a/dir/a",
  "/etc/a-b",
  "/etc/a.b",
  "/etc/ab",
  "/etc",
  "/data",
  "/data/sub/",
  "/data/sub/deep/er",
  "/var/run/secrets/kubernetes.io/serviceaccount",
  "relative",
  "relative/below",
] as const;

export const labelKeys = ["app", "tier", "example.com/name", "x_y.z", "UPPER"] as const;
export const labelValues = ["", "web", "1.2_3-x", "A".repeat(63)] as const;
export const annotationKeys = [
  "note",
  "example.com/json",
  "Example.com/Upper",
  "a-b",
  "unused",
] as const;

/** Numbers are quantities as well. */
export const cpuQuantities: readonly [string | number, ...(string | number)[]] = [
  1,
  0.25,
  "0",
  "1m",
  "100m",
  "1500m",
  "0.1",
  "2.5",
  "1",
  "3",
  "1e1",
];
export const memoryQuantities: readonly [string | number, ...(string | number)[]] = [
  1_000_000,
  1.5e9,
  "0",
  "1",
  "1500m",
  "123Mi",
  "1G",
  "0.5Gi",
  "1.5Gi",
  "100k",
  "1Ti",
  "129e6",
  "123456789",
  "3E",
  "1e3",
  "7.5M",
];
export const cpuDivisors = ["1", "1m", "0"] as const;
export const memoryDivisors = [
  "1",
  "0",
  "1k",
  "1Ki",
  "1M",
  "1Mi",
  "1G",
  "1Gi",
  "1T",
  "1Ti",
  "1P",
  "1Pi",
  "1E",
  "1Ei",
] as const;
