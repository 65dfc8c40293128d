import type { Failure } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { wrongField } from "./kubeconfig-section.ts";
import { isHeaderText } from "./kubeconfig-user.ts";
import { trackFiles } from "./tracked-files.ts";

/** A token in a file that others renew. */
export interface TokenFile {
  /**
   * The token, at most `rereadMs` old; the last good one while the file cannot be read.
   *
   * @throws {Failure} E_KUBECONFIG only when there never was one
   */
  token(): string;
  /** Forgets its age: the next question reads the file. */
  invalidate(): void;
}

/** How long a token is used before its file is read again, milliseconds. */
const rereadMs = 10_000;

/**
 * Follows a token file.
 *
 * Source: client-go v0.37.2 `transport/token_source.go: fileTokenSource`.
 *
 * @param kubeconfig  names the file in messages
 * @param fallback  the token that the kubeconfig holds itself
 */
export function tokenFile(
  path: string,
  root: string,
  kubeconfig: string,
  { fallback, clock }: { readonly fallback: string | undefined; readonly clock: Clock },
): TokenFile {
  let known = fallback;
  let readAtMs = Number.NEGATIVE_INFINITY;

  function reread(): Failure | undefined {
    const wrong = (found: string): Failure => wrongField("users.user.tokenFile", found, kubeconfig);
    const found = trackFiles(root).read(path);
    if ("problem" in found) {
      return wrong(found.problem);
    }
    const text = found.text.trim();
    if (!isHeaderText(text)) {
      return wrong(text === "" ? `${path} is empty` : `${path} holds no token`);
    }
    known = text;
    return undefined;
  }

  return {
    token() {
      if (clock.now() - readAtMs >= rereadMs || clock.now() < readAtMs) {
        const failure = reread();
        if (failure !== undefined && known === undefined) {
          throw failure;
        }
        readAtMs = clock.now();
      }
      return known ?? "";
    },
    invalidate: () => {
      readAtMs = Number.NEGATIVE_INFINITY;
    },
  };
}
