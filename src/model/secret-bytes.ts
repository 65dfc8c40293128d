const inspectCustom = Symbol.for("nodejs.util.inspect.custom");

/** Bytes that never show: `inspect`, `JSON.stringify` and string conversion give a placeholder. */
export class SecretBytes {
  readonly #bytes: Buffer;

  /** Copies `bytes`; the caller keeps, and may wipe, its own. */
  constructor(bytes: Uint8Array) {
    // Buffer.from would put small secrets into the pool that other buffers share.
    this.#bytes = Buffer.alloc(bytes.byteLength);
    this.#bytes.set(bytes);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, not a copy. Only for handing to a cipher or a file. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  /** Overwrites the bytes with zeros. Best effort: the runtime may hold copies. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspectCustom](): string {
    return "[secret]";
  }
}
