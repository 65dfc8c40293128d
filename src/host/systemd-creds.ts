import { under } from "../config.ts";
import { describeErrno } from "./system-error.ts";

/** What systemd-creds gave: bytes, or the reason in words that hold no secret. */
export type CredsResult =
  | { readonly kind: "done"; readonly bytes: Buffer }
  | { readonly kind: "failed"; readonly reason: string };

/** The name bound into every key slot. */
export const credentialName = "blackstart-key";

const secretFile = "/var/lib/systemd/credential.secret";
const timeoutMs = 20_000;

/**
 * Unwraps a credential file. Runs systemd-creds; a TPM that is busy is asked once more.
 *
 * `root` other than "/" uses the host secret under it, for images and tests.
 */
export function decryptCredential(file: string, root: string): CredsResult {
  const words = ["decrypt", `--name=${credentialName}`, file, "-"];
  const first = run(words, root, undefined);
  return first.kind === "failed" && first.reason === busy ? run(words, root, undefined) : first;
}

/** Wraps bytes with the host's secret (`--with-key=host`). Runs systemd-creds, which makes that secret if missing. */
export function encryptCredential(bytes: Uint8Array, root: string): CredsResult {
  return run(["encrypt", "--with-key=host", `--name=${credentialName}`, "-", "-"], root, bytes);
}

function run(words: readonly string[], root: string, input: Uint8Array | undefined): CredsResult {
  // Loaded only when a slot needs it: the boot path gets its key as a file.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const { status, signal, error, stdout, stderr } = spawnSync("systemd-creds", words, {
    ...(input === undefined ? {} : { input }),
    timeout: timeoutMs,
    env: {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      LC_ALL: "C",
      ...(root === "/" ? {} : { SYSTEMD_CREDENTIAL_SECRET: under(root, secretFile) }),
    },
  });
  if (status === 0) {
    return { kind: "done", bytes: stdout };
  }
  if (error !== undefined) {
    const missing = "code" in error && error.code === "ENOENT";
    return {
      kind: "failed",
      reason: missing ? "systemd-creds is not installed" : describeErrno(error),
    };
  }
  return { kind: "failed", reason: describeRefusal(stderr.toString("utf8"), signal) };
}

const busy = "the TPM is busy or locked out";

/** systemd's words (252 to 257) → ours. The first that matches counts. */
const refusals: readonly (readonly [RegExp, string])[] = [
  [/TPM_RC_LOCKOUT|lockout|out of (memory for )?session|TPM_RC_SESSION_(MEMORY|HANDLES)/i, busy],
  [
    /policy digest|PCR|policy.*(mismatch|fail)|TPM_RC_POLICY_FAIL/i,
    "firmware or Secure Boot state changed; re-seal with `blackstart key add-slot`",
  ],
  [/TPM2? support not|no TPM2?|TPM2? (device|chip)? ?(not|isn)/i, "this machine has no usable TPM"],
  [/credential\.secret|host key|incorrect key/i, "the host's secret is not the one that sealed it"],
];

function describeRefusal(stderr: string, signal: string | null): string {
  const embedded = /credential name '([^']{1,64})' does not match/.exec(stderr)?.[1];
  if (embedded !== undefined) {
    return `credential is named ${embedded}`;
  }
  // This line is a warning that stands before whatever went wrong, and names the host's secret too.
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.includes("using anyway"));
  const text = lines.join(" ");
  const known = refusals.find(([pattern]) => pattern.test(text))?.[1];
  return known ?? (lines.at(-1)?.slice(0, 200) || `systemd-creds ended by ${signal ?? "an error"}`);
}
