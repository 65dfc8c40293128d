/**
 * Milliseconds that this process has run, by a clock that never jumps.
 *
 * Not `performance.now()`, whose first use loads a module: it would be a tenth of what restore costs.
 */
export function uptimeMs(): number {
  return process.uptime() * 1000;
}
