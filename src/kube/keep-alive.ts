import type { ClientHttp2Session } from "node:http2";

/** A watch over a session's silence. */
export interface KeepAlive {
  /** Something was received. */
  heard(): void;
  stop(): void;
}

/**
 * Asks a silent server by PING whether it is still there, and tells when it is not.
 *
 * A connection that a machine between has forgotten would otherwise look like a cluster where nothing
 * happens. Sets timers that do not keep the process alive. Once the session is closing no PING can be
 * sent, and the kernel's own keep-alive is left.
 *
 * @param onDead  called at most once
 */
export function keepAlive(
  session: ClientHttp2Session,
  { silentMs, pingMs }: { readonly silentMs: number; readonly pingMs: number },
  onDead: () => void,
): KeepAlive {
  let heardAtMs = performance.now();
  let timer = wait(look, silentMs);

  function look(): void {
    const leftMs = heardAtMs + silentMs - performance.now();
    if (session.closed || session.destroyed) {
      return;
    }
    if (leftMs > 0) {
      timer = wait(look, leftMs);
      return;
    }
    timer = wait(onDead, pingMs);
    session.ping((error) => {
      clearTimeout(timer);
      if (error === null) {
        heardAtMs = performance.now();
        timer = wait(look, silentMs);
      }
    });
  }

  return {
    heard: () => {
      heardAtMs = performance.now();
    },
    stop: () => clearTimeout(timer),
  };
}

function wait(run: () => void, ms: number): NodeJS.Timeout {
  return setTimeout(run, ms).unref();
}
