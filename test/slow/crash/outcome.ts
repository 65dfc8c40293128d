import { type FailureCode, failureExit } from "../../../src/errors.ts";
import type { Point } from "./points.ts";
import type { Interrupted, Scenario } from "./scenario.ts";

/** The codes that each errno may end a command in, or a pod's projection. */
const codes: Readonly<Record<string, readonly FailureCode[]>> = {
  EIO: ["E_IO", "E_FSYNC"],
  ENOSPC: ["E_NOSPACE", "E_NOSPACE_TMPFS"],
  EDQUOT: ["E_NOSPACE", "E_NOSPACE_TMPFS"],
  EROFS: ["E_READONLY", "E_FSYNC"],
  EMFILE: ["E_RESOURCES", "E_FSYNC"],
  EACCES: ["E_PERMS", "E_FSYNC"],
};

/** What is wrong with how a run ended that was given an errno: status, code and words must fit each other. */
export function judgeOutcome(
  { ended, acknowledged, effect }: Interrupted,
  also: readonly FailureCode[] = [],
): string[] {
  const { status, stderr } = ended;
  const allowed: readonly string[] = [...(codes[effect] ?? []), ...also];
  const final = [...stderr.matchAll(/^blackstart: (E_[A-Z_0-9]+): (.*)$/gm)];
  const pods = [...stderr.matchAll(/^(?:left out|not updated) \S+: (E_[A-Z_0-9]+): (.*)$/gm)];
  const leftovers = [...stderr.matchAll(/^W_LEFTOVER: (E_[A-Z_0-9]+): (.*)$/gm)];
  // One that stays where it is fails no restore, for the pods are there.
  const records =
    status === 0 ? [] : [...stderr.matchAll(/^W_PULL_RECORDS: (E_[A-Z_0-9]+): (.*)$/gm)];
  const told = [...final, ...pods, ...leftovers, ...records].map(([, code = ""]) => code);
  const exit = Object.entries(failureExit).find(([code]) => code === final[0]?.[1])?.[1];
  return [
    ...(status === null || status === 70 || /^ +at |this is a bug/m.test(stderr)
      ? [`a bug, status ${status}: ${stderr}`]
      : []),
    ...(final.length > 1 ? [`${final.length} failures are told`] : []),
    ...(status === 0 && !acknowledged && !stderr.includes("no key published: ")
      ? [`success without a word: ${stderr}`]
      : []),
    ...(status === 0 && told.length > 0 ? [`success with ${told}`] : []),
    ...(status !== 0 && told.length === 0 ? [`status ${status} without a reason: ${stderr}`] : []),
    ...(final.length === 1 && exit !== status ? [`${final[0]?.[1]} with status ${status}`] : []),
    ...(final.length === 0 && status !== 0 && status !== 73 ? [`pods failed, ${status}`] : []),
    ...told.filter((code) => !allowed.includes(code)).map((code) => `${effect} became ${code}`),
  ];
}

/**
 * Pure. The steps that make something durable: whatever one of them returns, nothing may be acknowledged
 * (a full disk apart, where capture makes room and begins again).
 */
export function commitSteps(scenario: Scenario, points: readonly Point[]): readonly Point[] {
  const link = points.findIndex(({ label }) =>
    /^link.*\/(gen-\d+\.jwe|keys\/\*\.plain)$/.test(label),
  );
  if (link === -1 || scenario.name.startsWith("key publish")) {
    return [];
  }
  const before = points.slice(0, link).findLastIndex(({ label }) => /^openat .*\.tmp-/.test(label));
  const after = points.findIndex(({ syscall }, at) => at > link && syscall === "fsync");
  return points.slice(before, after + 1);
}
