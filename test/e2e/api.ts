import { Agent, request } from "node:https";
import type { Credential } from "./pki.ts";

export interface Json {
  readonly [field: string]: unknown;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** As it came. */
  readonly text: string;
  /** The text parsed; empty where it is not a JSON object. */
  readonly body: Json;
}

/** Who asks, and what is trusted. */
export interface ApiTls {
  readonly ca: string;
  readonly client: Credential;
  /** False where the server's certificate is meant to be out of date. */
  readonly isVerified: boolean;
}

/**
 * Sends one request to the apiserver.
 *
 * @param path  with its query
 * @param body  a string goes as it is, anything else as JSON; a PATCH is a merge patch
 */
export type Api = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>;

export interface ApiClient {
  readonly api: Api;
  /** Ends idle connections: after the server's end they would fail the next request. */
  readonly disconnect: () => void;
}

const deadlineMs = 60_000;

/** Speaks to an apiserver over kept HTTP/1.1 connections. Keeps no event loop alive between requests. */
export function connectApi(url: string, { ca, client, isVerified }: ApiTls): ApiClient {
  const agent = new Agent({
    keepAlive: true,
    ca,
    cert: client.certificate,
    key: client.key,
    rejectUnauthorized: isVerified,
  });
  return {
    disconnect: () => agent.destroy(),
    api: (method, path, body) =>
      new Promise((resolve, reject) => {
        const content = typeof body === "string" ? body : JSON.stringify(body);
        const patch = method === "PATCH" ? "application/merge-patch+json" : "application/json";
        // Node gives a DELETE neither a length nor chunks by itself.
        const headers =
          content === undefined
            ? {}
            : { "content-type": patch, "content-length": Buffer.byteLength(content) };
        const sent = request(`${url}${path}`, { method, agent, headers, timeout: deadlineMs });
        sent.once("error", reject);
        sent.once("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
        sent.once("response", (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.once("error", reject);
          response.once("end", () => {
            const text = Buffer.concat(chunks).toString();
            const { statusCode: status = 0, headers } = response;
            resolve({ status, headers, text, body: parseObject(text) });
          });
        });
        sent.end(content);
      }),
  };
}

function parseObject(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Json) : {};
  } catch {
    return {};
  }
}

/**
 * Sends a request that must succeed.
 *
 * @throws {Error} with the server's own words, when the status is neither 2xx nor one of `allowed`
 */
export async function demand(
  api: Api,
  method: string,
  path: string,
  body?: unknown,
  allowed: readonly number[] = [],
): Promise<ApiAnswer> {
  const answer = await api(method, path, body);
  if ((answer.status < 200 || answer.status > 299) && !allowed.includes(answer.status)) {
    throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  }
  return answer;
}
