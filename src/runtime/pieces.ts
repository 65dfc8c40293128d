/**
 * Turns a source that pushes into one that is pulled from: the source goes on when its piece has been used.
 *
 * Pure but for the source. What `run` throws comes out of the iteration; when that is left early, `take` throws.
 */
export async function* pieces(
  run: (take: (piece: Uint8Array) => Promise<void>) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  type Event =
    | { readonly kind: "piece"; readonly piece: Uint8Array }
    | { readonly kind: "done" }
    | { readonly kind: "failed"; readonly error: unknown };
  let next = Promise.withResolvers<Event>();
  let used = Promise.withResolvers<void>();
  const running = run((piece) => {
    used = Promise.withResolvers<void>();
    next.resolve({ kind: "piece", piece });
    return used.promise;
  }).then(
    () => next.resolve({ kind: "done" }),
    (error: unknown) => next.resolve({ kind: "failed", error }),
  );
  try {
    for (;;) {
      const event = await next.promise;
      if (event.kind === "done") {
        return;
      }
      if (event.kind === "failed") {
        throw event.error;
      }
      next = Promise.withResolvers<Event>();
      yield event.piece;
      used.resolve();
    }
  } finally {
    used.reject(new Error("nobody takes any more"));
    used.promise.catch(() => undefined);
    await running;
  }
}
