import { readFileSync, writeFileSync } from "node:fs";

/** A request as the apiserver's audit log has it. */
export interface AuditedRequest {
  readonly verb: string;
  /** With its subresource: `serviceaccounts/token`. */
  readonly resource: string;
  readonly status: number;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
}

/**
 * The flags with which an apiserver records each request once: a watch when it begins, anything else when it ends.
 *
 * @param dir  absolute; holds the policy
 * @param logFile  absolute
 */
export function auditFlags(dir: string, logFile: string): readonly string[] {
  const policy = `${dir}/audit-policy.json`;
  writeFileSync(
    policy,
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "Metadata" }],
    }),
  );
  return [
    `--audit-policy-file=${policy}`,
    `--audit-log-path=${logFile}`,
    "--audit-log-mode=blocking-strict",
  ];
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
}

/** What that user has asked for, in the order of the log. */
export function readAudit(logFile: string, user: string): readonly AuditedRequest[] {
  return readFileSync(logFile, "utf8")
    .split("\n")
    .filter((line) => line.includes(`"username":"${user}"`))
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter(
      ({ stage, verb }) => stage === (verb === "watch" ? "ResponseStarted" : "ResponseComplete"),
    )
    .map(({ verb, objectRef, responseStatus, requestReceivedTimestamp }) => ({
      verb,
      resource: [objectRef?.resource, objectRef?.subresource].filter(Boolean).join("/"),
      status: responseStatus?.code ?? 0,
      receivedAt: Date.parse(requestReceivedTimestamp),
    }));
}
