declare const BLACKSTART_VERSION: string | undefined;
declare const BLACKSTART_COMMIT: string | undefined;

/** Pure. `blackstart 0.1.0 (1a2b3c4) node v24.21.0`; run from source, version and commit are unknown. */
export function describeVersion(): string {
  const version = typeof BLACKSTART_VERSION === "undefined" ? "from-source" : BLACKSTART_VERSION;
  const commit = typeof BLACKSTART_COMMIT === "undefined" ? "unknown" : BLACKSTART_COMMIT;
  return `blackstart ${version} (${commit}) node ${process.version}`;
}
