import { marker, objects, pod } from "../objects.ts";
import { type BadCluster, isPods, isSecret } from "./bad-cluster.ts";
import { type Answer, type Asked, answer, listOf, refusal } from "./fake-apiserver.ts";

/** One answer in place of the list of pods. */
export function pods(name: string, reply: Answer, code: string, says: RegExp): BadCluster {
  return {
    case: 93,
    name: `the list of pods is ${name}`,
    fault: (asked) => (isPods(asked) ? reply : undefined),
    code,
    exit: 69,
    says,
  };
}

/** An answer in place of the Secret that a captured pod needs. */
function secretCase(name: string, reply: Answer, code: string, says: RegExp, exit = 69) {
  return {
    case: 93,
    name: `a Secret among good objects is ${name}`,
    fault: (asked: Asked) => (isSecret(asked) ? reply : undefined),
    code,
    exit,
    says,
  };
}

const login = `<html><form action="https://sso.example/?t=${marker}">sign in</form></html>`;
const html = { type: "text/html; charset=utf-8" };
const whole = listOf("Pod", [pod()], 7);

export const answerCases: readonly BadCluster[] = [
  pods(
    "answered with 401",
    refusal(401, "Unauthorized"),
    "E_API_UNAUTHORIZED",
    /did not list pods of node n1: 401 Unauthorized/,
  ),
  pods(
    "answered with 403",
    refusal(403, "Forbidden"),
    "E_API_FORBIDDEN",
    /did not list pods of node n1: 403 Forbidden\. Allow the user to list pods/,
  ),
  pods(
    "answered with 404",
    refusal(404, "NotFound"),
    "E_API_NOT_FOUND",
    /list pods of node n1: 404.*server/,
  ),
  pods("answered with 410", refusal(410, "Expired"), "E_API_GONE", /list pods.*410 Expired/),
  pods("answered with 429", refusal(429, "TooManyRequests"), "E_API_THROTTLED", /list pods.*429/),
  pods(
    "answered with 429 and an hour's Retry-After",
    refusal(429, "TooManyRequests", { "retry-after": "3600" }),
    "E_API_THROTTLED",
    /429.*3600 s/,
  ),
  pods("answered with 500", refusal(500, "InternalError"), "E_API_SERVER", /500 InternalError/),
  pods("answered with 503", answer(503, `no backend ${marker}`, html), "E_API_SERVER", /503/),
  pods("answered with 418", refusal(418, "Teapot"), "E_API_REJECTED", /418 Teapot/),
  pods("a login page with 200", answer(200, login, html), "E_API_ANSWER", /text\/html instead of/),
  pods(
    "a login page with 302",
    answer(302, login, { ...html, headers: { location: `https://sso.example/${marker}` } }),
    "E_API_ANSWER",
    /HTTP status 302/,
  ),
  pods("a login page with 403", answer(403, login, html), "E_API_ANSWER", /HTTP status 403.*proxy/),
  pods("a login page with 404", answer(404, login, html), "E_API_ANSWER", /HTTP status 404.*proxy/),
  pods(
    "JSON called text",
    answer(200, whole, { type: "text/plain" }),
    "E_API_ANSWER",
    /text\/plain/,
  ),
  pods(
    "protobuf",
    answer(200, "k8s\0", { type: "application/vnd.kubernetes.protobuf" }),
    "E_API_ANSWER",
    /protobuf/,
  ),
  pods(
    "of a type that speaks to the reader's terminal",
    answer(200, whole, { type: "\u001b[31m application/json" }),
    "E_API_ANSWER",
    /no content type/,
  ),
  pods(
    "reset in its middle",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.write(whole.slice(0, 50), () => stream.destroy(new Error("INTERNAL_ERROR")));
    },
    "E_API_ANSWER",
    /cut short \(INTERNAL_ERROR\)/,
  ),
  pods(
    "lost with its connection in its middle",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.write(whole.slice(0, 50), () => stream.session?.destroy());
    },
    "E_API_UNREACHABLE",
    /closed|lost/,
  ),
  pods(
    "refused by the stream's reset",
    (stream) => stream.close(7),
    "E_API_UNREACHABLE",
    /REFUSED_STREAM/,
  ),
  pods(
    "met by GOAWAY, and then by the connection's end",
    (stream) => {
      stream.session?.goaway(0);
      setTimeout(() => stream.session?.destroy(), 50);
    },
    "E_API_UNREACHABLE",
    /./,
  ),
  pods("of 100 MB", flood(100 * 1_048_576), "E_API_ANSWER", /more than 67108864 bytes/),
  {
    case: 93,
    name: "every page of the list of pods leads to a further, empty one",
    fault: (asked) =>
      isPods(asked)
        ? answer(200, listOf("Pod", [], 7).replace('"7"', `"7","continue":"${asked.time}"`))
        : undefined,
    code: "E_API_ANSWER",
    exit: 69,
    says: /pages/,
  },
  {
    case: 93,
    name: "a page of the list of pods leads to itself",
    fault: (asked) =>
      isPods(asked)
        ? answer(200, listOf("Pod", [], 7).replace('"7"', '"7","continue":"x"'))
        : undefined,
    code: "E_API_ANSWER",
    exit: 69,
    says: /one page again and again/,
  },
  {
    case: 94,
    name: "the list's second page has expired, and so has the whole list asked for in its place",
    fault: (asked) => {
      if (!isPods(asked)) {
        return undefined;
      }
      return asked.time === 1
        ? answer(200, whole.replace('"7"', `"7","continue":"${marker}"`))
        : refusal(410, "Expired");
    },
    code: "E_API_GONE",
    exit: 69,
    says: /list pods/,
  },
  secretCase(
    "forbidden",
    refusal(403, "Forbidden"),
    "E_API_FORBIDDEN",
    /Pod kube-system\/web.*generation 2 stays.*secrets kube-system\/web.*403/,
  ),
  secretCase(
    "gone",
    refusal(404, "NotFound"),
    "E_REF_MISSING",
    /generation 2 stays.*kube-system\/web/,
    65,
  ),
  secretCase(
    "answered with 500",
    refusal(500, "InternalError"),
    "E_API_SERVER",
    /get secrets kube-system\/web: 500/,
  ),
  secretCase(
    "a proxy's 404",
    answer(404, login, html),
    "E_API_ANSWER",
    /get secrets kube-system\/web/,
  ),
  secretCase(
    "another one",
    answer(
      200,
      JSON.stringify({ ...objects()[1], metadata: { name: "other", namespace: "kube-system" } }),
    ),
    "E_REF_MISSING",
    /generation 2 stays/,
    65,
  ),
  secretCase(
    "a ConfigMap",
    answer(200, JSON.stringify({ ...objects()[2] })),
    "E_REF_MISSING",
    /generation 2 stays/,
    65,
  ),
  secretCase(
    "without data that a pod needs",
    answer(200, JSON.stringify({ ...objects()[1], data: {} })),
    "E_REF_MISSING",
    /password/,
    65,
  ),
  secretCase(
    "not base64",
    answer(200, JSON.stringify({ ...objects()[1], data: { password: `${marker}!` } })),
    "E_SUSPICIOUS_EMPTY",
    /kube-system\/web E_B64/,
    65,
  ),
  {
    case: 93,
    name: "every second request fails",
    fault: ({ number }) => (number % 2 === 0 ? refusal(500, "InternalError") : undefined),
    code: "",
    exit: 0,
  },
];

/** So many bytes of JSON that make no sense. */
function flood(bytes: number): Answer {
  return (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/json" });
    const chunk = Buffer.alloc(1_048_576, 0x20);
    let left = bytes;
    const pump = (): void => {
      while (left > 0 && !stream.destroyed) {
        left -= chunk.length;
        if (!stream.write(chunk)) {
          stream.once("drain", pump);
          return;
        }
      }
      stream.end();
    };
    pump();
  };
}
