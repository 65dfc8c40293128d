/** One request to the apiserver. */
export interface ApiRequest {
  readonly method: "GET" | "POST";
  /** Absolute, with the query. */
  readonly path: string;
  /** JSON. */
  readonly body?: string;
}

/** The head of an answer, and its body as it comes. */
export interface ApiAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /**
   * Ends when the body is whole; throws an `ApiFailure` when it is cut short. Leaving the loop early, or
   * aborting the request's signal, cancels the request.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/** One verified HTTP/2 connection. */
export interface Connection {
  /** How many requests the server lets be open at once; at least 1. */
  readonly streamLimit: number;
  /**
   * Sends a request and resolves with the head of its answer.
   *
   * @throws {ApiFailure} E_API_UNREACHABLE only when the connection is lost before the answer's head
   */
  send(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer>;
  /** Resolves when nothing new can be sent: closed, broken, or the server said GOAWAY. Open requests may go on. */
  readonly retired: Promise<void>;
  /** Ends it at once, with all that is open on it. */
  close(): void;
}

/**
 * Opens a connection with the credentials as they are now.
 *
 * @throws {Failure} E_API_UNREACHABLE, E_API_TLS, E_TLS_TIME, E_API_ANSWER, E_KUBECONFIG, E_EXEC_PLUGIN
 */
export type Dial = (signal: AbortSignal) => Promise<Connection>;
