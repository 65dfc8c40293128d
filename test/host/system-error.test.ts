import assert from "node:assert/strict";
import { suite } from "uvu";
import { Failure, type FailureCode } from "../../src/errors.ts";
import { expectedFailure, failureOf, hasErrno } from "../../src/host/system-error.ts";

const test = suite("host/system-error");

const cases: readonly {
  readonly name: string;
  readonly errno: string;
  readonly syscall: string;
  readonly code: FailureCode;
  readonly exit: number;
}[] = [
  { name: "case 28: a read error", errno: "EIO", syscall: "read", code: "E_IO", exit: 74 },
  { name: "case 30: no access", errno: "EACCES", syscall: "open", code: "E_PERMS", exit: 77 },
  { name: "case 80: a full disk", errno: "ENOSPC", syscall: "write", code: "E_NOSPACE", exit: 73 },
  { name: "case 81: a quota", errno: "EDQUOT", syscall: "write", code: "E_NOSPACE", exit: 73 },
  { name: "case 81: a size limit", errno: "EFBIG", syscall: "write", code: "E_NOSPACE", exit: 73 },
  {
    name: "case 82: a read-only disk",
    errno: "EROFS",
    syscall: "open",
    code: "E_READONLY",
    exit: 73,
  },
  { name: "case 83: fsync failed", errno: "EIO", syscall: "fsync", code: "E_FSYNC", exit: 74 },
  {
    name: "a disk that turned out full",
    errno: "ENOSPC",
    syscall: "fsync",
    code: "E_NOSPACE",
    exit: 73,
  },
  {
    name: "case 84: no descriptor",
    errno: "EMFILE",
    syscall: "open",
    code: "E_RESOURCES",
    exit: 75,
  },
  { name: "case 84: no file", errno: "ENFILE", syscall: "open", code: "E_RESOURCES", exit: 75 },
  { name: "case 84: no memory", errno: "ENOMEM", syscall: "read", code: "E_RESOURCES", exit: 75 },
  { name: "a link", errno: "ELOOP", syscall: "open", code: "E_NOT_REGULAR", exit: 65 },
  { name: "anything else", errno: "EBUSY", syscall: "link", code: "E_IO", exit: 74 },
];

for (const { name, errno, syscall, code, exit } of cases) {
  test(`${name}: ${errno} from ${syscall} is ${code}`, () => {
    const error = systemError(errno, syscall);
    const failure = expectedFailure(error, { what: "it failed", where: "/x", remains: "41 stays" });
    assert.deepEqual([failure.code, failure.exit], [code, exit]);
    assert.equal(failure.text.found, `${errno} from ${syscall}; 41 stays`);
    assert.equal(failure.cause, error);
  });
}

test("case 81: the quota's number, which libuv has no name for, is E_NOSPACE", () => {
  const code = "Unknown system error -122";
  const error = Object.assign(systemError(code, "write"), { errno: -122 });
  const failure = expectedFailure(error, { what: "it failed", where: "/x" });
  assert.deepEqual([failure.code, failure.text.found], ["E_NOSPACE", "EDQUOT from write"]);
  assert.ok(hasErrno(error, "EDQUOT"));
});

test("a failure stays itself, and a bug is never made a failure", () => {
  const failure = new Failure("E_IO", { what: "x" });
  assert.equal(failureOf(failure, { what: "y", where: "/" }), failure);
  const bug = new TypeError("undefined is not a function");
  assert.equal(failureOf(bug, { what: "y", where: "/" }), bug);
  assert.throws(() => expectedFailure(bug, { what: "y", where: "/" }), TypeError);
});

test("errnos are told apart", () => {
  assert.ok(hasErrno(systemError("EEXIST", "link"), "ENOENT", "EEXIST"));
  assert.ok(!hasErrno(systemError("EIO", "link"), "ENOENT", "EEXIST"));
  assert.ok(!hasErrno(new Error("EEXIST"), "EEXIST"));
});

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: x, ${syscall}`), { code, syscall });
}

test.run();
