import { Failure, type FailureCode, type FailureText } from "../errors.ts";

/** What kind of trouble a request to the apiserver met. */
export type ApiFailureCode = Extract<FailureCode, `E_API_${string}` | "E_TLS_TIME">;

/** A request to the apiserver failed; tells whether asking again can help, and when. */
export class ApiFailure extends Failure {
  /** The HTTP status; undefined when no answer came. */
  readonly status: number | undefined;
  /** How long the server asks to wait, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ApiFailureCode,
    text: FailureText,
    { status, retryAfterMs }: { readonly status?: number; readonly retryAfterMs?: number } = {},
  ) {
    super(code, text);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** True where the same request may succeed a little later. */
  get isTransient(): boolean {
    switch (this.code) {
      case "E_API_UNREACHABLE":
      case "E_API_THROTTLED":
      case "E_API_SERVER":
      case "E_API_ANSWER":
        return true;
      default:
        return false;
    }
  }
}

/** What was asked, in the words of RBAC: "get", "secrets", "kube-system/etcd-certs". */
export interface Asked {
  readonly verb: "get" | "list" | "watch" | "create";
  /** Plural, with a subresource as `serviceaccounts/token`. */
  readonly resource: string;
  /** `namespace/name`, `name`, or a selector. */
  readonly object: string;
}

/**
 * The failure that an HTTP status stands for.
 *
 * Pure. The body is never shown: it may be anybody's. Only Kubernetes' own `reason` word is.
 *
 * @param reason  `reason` of the Status object, where the body was one
 * @param retryAfter  the header, seconds
 */
export function failureOfStatus(
  status: number,
  asked: Asked,
  {
    reason,
    retryAfter,
  }: { readonly reason?: string | undefined; readonly retryAfter?: string | undefined },
): ApiFailure {
  const { verb, resource, object } = asked;
  const what = `the apiserver did not ${verb} ${resource} ${object}`;
  const word = reason !== undefined && /^[A-Za-z]{1,60}$/.test(reason) ? ` ${reason}` : "";
  const seconds = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
  const found = `${status}${word}${seconds === undefined ? "" : `, to be asked again in ${seconds} s`}`;
  const options = {
    status,
    ...(seconds === undefined ? {} : { retryAfterMs: seconds * 1_000 }),
  };
  const fail = (code: ApiFailureCode, next: string) =>
    new ApiFailure(code, { what, found, next }, options);
  switch (status) {
    case 401:
      return fail(
        "E_API_UNAUTHORIZED",
        "Its credentials are not accepted: see whether the kubelet itself still gets through, and renew its certificate",
      );
    case 403:
      return fail("E_API_FORBIDDEN", forbiddenNext(asked));
    case 404:
      return fail(
        "E_API_NOT_FOUND",
        verb === "list" || verb === "watch"
          ? "See whether the kubeconfig's server is an apiserver, with no path too many"
          : "Create it, or take the reference out of the pod",
      );
    case 410:
      return fail("E_API_GONE", "Run it again: the list has moved on");
    case 429:
      return fail("E_API_THROTTLED", "It is busy; asking again later is what it wants");
    default:
      return status >= 500
        ? fail("E_API_SERVER", "See the apiserver's own log")
        : fail("E_API_REJECTED", "Look the reason up in the apiserver's audit log");
  }
}

/** The Node authorizer gives a node what its pods refer to; anything else needs a right of its own. */
function forbiddenNext({ verb, resource, object }: Asked): string {
  return resource === "secrets" || resource === "configmaps"
    ? "The Node authorizer allows it only while a pod bound to this node refers to it: see whether the pod is there, and whether --authorization-mode has Node"
    : `Allow the user to ${verb} ${resource}${object === "" ? "" : ` (${object})`}, or use the kubelet's own kubeconfig`;
}
