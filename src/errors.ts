/** Exit statuses of the program. Source: sysexits(3), FreeBSD 14 `include/sysexits.h`. */
export const Exit = {
  ok: 0,
  usage: 64,
  dataErr: 65,
  noInput: 66,
  unavailable: 69,
  software: 70,
  osErr: 71,
  cantCreat: 73,
  ioErr: 74,
  tempFail: 75,
  noPerm: 77,
  config: 78,
} as const;

export type ExitStatus = (typeof Exit)[keyof typeof Exit];

/** Every expected failure and the exit status that it ends the program with. Codes never change. */
export const failureExit = {
  // command line and configuration
  E_USAGE: Exit.usage,
  E_CONFIG: Exit.config,
  E_UNIT: Exit.config,
  E_PERMS: Exit.noPerm,
  // store
  E_NO_STORE: Exit.noInput,
  E_NO_CHECKPOINT: Exit.noInput,
  E_TRUNCATED: Exit.dataErr,
  E_TRAILING: Exit.dataErr,
  E_MAGIC: Exit.dataErr,
  E_HEADER_JSON: Exit.dataErr,
  E_MAC: Exit.dataErr,
  E_VERSION: Exit.dataErr,
  E_TOO_BIG: Exit.dataErr,
  E_GEN_MISMATCH: Exit.dataErr,
  E_NODE: Exit.dataErr,
  E_STORE_ID: Exit.dataErr,
  E_ROLLBACK: Exit.dataErr,
  E_NOT_REGULAR: Exit.dataErr,
  E_IO: Exit.ioErr,
  E_FSYNC: Exit.ioErr,
  E_NOSPACE: Exit.cantCreat,
  E_READONLY: Exit.cantCreat,
  E_RESOURCES: Exit.tempFail,
  E_LOCKED: Exit.tempFail,
  E_BOOT_LOOP: Exit.ok,
  // key
  E_NO_KEY: Exit.config,
  E_KEY_LENGTH: Exit.config,
  E_KEY_WEAK: Exit.config,
  E_KEY_PERMS: Exit.noPerm,
  E_KEY_SLOT: Exit.cantCreat,
  E_KEY_EXISTS: Exit.cantCreat,
  E_RECIPIENT: Exit.config,
  // objects
  E_NO_INPUT: Exit.noInput,
  E_PARSE: Exit.dataErr,
  E_OBJECT: Exit.dataErr,
  E_NAME: Exit.dataErr,
  E_UID: Exit.dataErr,
  E_DUPLICATE: Exit.dataErr,
  E_B64: Exit.dataErr,
  E_DUP_KEY: Exit.dataErr,
  E_PATH_KEY: Exit.dataErr,
  E_PATH_ITEM: Exit.dataErr,
  E_PATH_CONFLICT: Exit.dataErr,
  E_MODE: Exit.dataErr,
  E_ID: Exit.dataErr,
  E_ENV_BYTES: Exit.dataErr,
  E_ENV_NAME: Exit.dataErr,
  E_ENV_SIZE: Exit.dataErr,
  E_SECRET_ENV: Exit.dataErr,
  E_REF_MISSING: Exit.dataErr,
  E_REFERENCE_LEFT: Exit.dataErr,
  E_UNSUPPORTED_VOLUME: Exit.dataErr,
  E_UNSUPPORTED_FIELD: Exit.dataErr,
  E_RUNTIME_CLASS: Exit.dataErr,
  E_HOSTPATH_SELF: Exit.dataErr,
  E_ANNOTATION: Exit.dataErr,
  E_NOT_SELECTED: Exit.dataErr,
  E_SUSPICIOUS_EMPTY: Exit.dataErr,
  E_NO_POD: Exit.noInput,
  // targets
  E_MANIFEST_DIR: Exit.config,
  E_MANIFEST_DIR_UNSAFE: Exit.noPerm,
  E_FOREIGN: Exit.cantCreat,
  E_RACE: Exit.cantCreat,
  E_NOT_MEMORY: Exit.config,
  E_SWAP: Exit.config,
  E_NO_TMPFS: Exit.osErr,
  E_NOSPACE_TMPFS: Exit.cantCreat,
  E_CANNOT_CREATE: Exit.cantCreat,
  E_SKIPPED: Exit.cantCreat,
  // apiserver
  E_KUBECONFIG: Exit.config,
  E_API: Exit.unavailable,
  E_API_UNREACHABLE: Exit.unavailable,
  E_API_TLS: Exit.unavailable,
  E_API_UNAUTHORIZED: Exit.unavailable,
  E_API_FORBIDDEN: Exit.unavailable,
  E_API_NOT_FOUND: Exit.unavailable,
  E_API_GONE: Exit.unavailable,
  E_API_THROTTLED: Exit.unavailable,
  E_API_SERVER: Exit.unavailable,
  E_API_REJECTED: Exit.unavailable,
  E_API_ANSWER: Exit.unavailable,
  E_EXEC_PLUGIN: Exit.unavailable,
  E_TLS_TIME: Exit.unavailable,
  // runtime and images
  E_RUNTIME: Exit.unavailable,
  E_IMAGE: Exit.unavailable,
  E_DIGEST: Exit.dataErr,
  // capture
  E_CLOCK: Exit.tempFail,
  E_PROJECTED: Exit.tempFail,
} as const satisfies Record<string, ExitStatus>;

export type FailureCode = keyof typeof failureExit;

/** What a failure says: one sentence part each. None of them may hold a secret value. */
export interface FailureText {
  /** What was attempted or is wrong, naming the object. */
  readonly what: string;
  /** The file, field or endpoint. */
  readonly where?: string;
  /** What was found. */
  readonly found?: string;
  /** What the reader does next, a whole sentence without its full stop. */
  readonly next?: string;
}

/**
 * An expected failure: prints as one line, ends the program with its code's exit status.
 *
 * Anything thrown that is not a `Failure` is a bug (exit 70).
 */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly text: FailureText;

  constructor(code: FailureCode, text: FailureText, options?: ErrorOptions) {
    super(describeText(text), options);
    this.code = code;
    this.text = text;
  }

  override get name(): string {
    return this.code;
  }

  get exit(): ExitStatus {
    return failureExit[this.code];
  }
}

function describeText({ what, where, found, next }: FailureText): string {
  const place = where === undefined ? "" : ` (${where})`;
  const reason = found === undefined ? "" : `: ${found}`;
  const step = next === undefined ? "" : `. ${next}`;
  return `${what}${place}${reason}${step}`.replaceAll(/[\r\n\u2028\u2029]+/g, " ");
}

/** True for a Node system error (`ENOENT`, …), whatever threw it. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return (
    error instanceof Error &&
    !(error instanceof Failure) &&
    typeof (error as NodeJS.ErrnoException).code === "string"
  );
}
