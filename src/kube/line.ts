import type { Connection } from "./api.ts";

/** A connection, and what is open on it. */
export interface Line {
  readonly connection: Connection;
  /** When it was opened, milliseconds of a clock that never goes back. */
  readonly since: number;
  open: number;
  /** Takes nothing new; goes once nothing is open. */
  isRetired: boolean;
  isClosedHere: boolean;
}

/** Streams of each connection that no watch may take. */
const reserved = 4;

/** Pure. True when a watch, or a request, may be opened on it. */
export function hasRoom({ connection, open }: Line, kind: "watch" | "request"): boolean {
  const { streamLimit } = connection;
  const kept = kind === "watch" ? Math.min(reserved, Math.floor(streamLimit / 2)) : 0;
  return open < streamLimit - kept;
}

/** Ends it with all that is open on it, and no loss is seen in that. */
export function closeLine(line: Line): void {
  line.isRetired = true;
  line.isClosedHere = true;
  line.connection.close();
}

/** The body as it is; `release` is called once it has ended, however it ends. */
export async function* releasing(
  body: AsyncIterable<Uint8Array>,
  release: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    release();
  }
}
