import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { encodeHeader, formatVersion } from "../../../src/store/header.ts";
import { makeCertificate } from "../../kube/certificates.ts";
import { forge } from "../../store/forge.ts";
import { capture, type NodeRoot, nodeWithStore } from "../node-root.ts";
import { objects } from "../objects.ts";
import type { BadInput } from "./bad-input.ts";

const capturing = (node: NodeRoot) =>
  ["capture", "--node", "n1", "--from", node.objects(...objects({ level: "third" }))] as const;

/** The one before the newest is used, and both numbers are told. */
const fallsBack = {
  exit: 0,
  isSaid: true,
  restores: 1,
  says: /generation 2 .*generation 1/,
} as const;

/** Generation 2 is all there is. */
function alone(node: NodeRoot): string {
  rmSync(node.generation(1));
  return node.generation(2);
}

function edit(file: string, pattern: RegExp, replacement: (found: string) => string): void {
  const before = readFileSync(file, "latin1");
  const after = before.replace(pattern, replacement);
  assert.notEqual(after, before, `nothing in ${file} is ${pattern}`);
  writeFileSync(file, after, "latin1");
}

/** Changes the character in the middle of what is found. */
const flip = (found: string) => {
  const at = found.length >> 1;
  return `${found.slice(0, at)}${found[at] === "A" ? "B" : "A"}${found.slice(at + 1)}`;
};

/** Puts a forged file of the holder of the key in the place of generation 2, which is all there is. */
function forged(node: NodeRoot, header: object): void {
  const key = node.key();
  const own = { kid: key.kid, storeId: "x", node: "n1", previousTag: "" };
  const rest = { capturedAt: "2026-01-02T03:04:05Z" };
  const all = { version: formatVersion, ...own, generation: 2, ...rest, ...header };
  writeFileSync(alone(node), forge(key, { header: JSON.stringify(encodeHeader(all)) }));
}

/** Changes the text of the protected header of generation 2, which is all there is. */
function editHeader(node: NodeRoot, change: (text: string) => string): void {
  edit(alone(node), /"protected":"[^"]+"/, (found) => {
    const text = Buffer.from(found.slice('"protected":"'.length, -1), "base64url").toString();
    return `"protected":"${Buffer.from(change(text)).toString("base64url")}"`;
  });
}

/** What the kubelet is called, as its certificate says. */
function certify(node: NodeRoot, name: string): void {
  const { certPem, keyPem } = makeCertificate({ name: `system:node:${name}`, usage: "client" });
  const encode = (text: string) => Buffer.from(text).toString("base64");
  const kubeconfig = {
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    clusters: [{ name: "x", cluster: { server: "https://127.0.0.1:1" } }],
    users: [
      {
        name: "x",
        user: {
          "client-certificate-data": encode(certPem),
          "client-key-data": encode(keyPem),
        },
      },
    ],
  };
  writeFileSync(node.at("etc/kubernetes/kubelet.conf"), JSON.stringify(kubeconfig));
}

export const storeCases: readonly BadInput[] = [
  {
    case: 1,
    name: "there is no store",
    given: (node) => rmSync(node.store, { recursive: true }),
    code: "E_NO_STORE",
    exit: 66,
    says: /blackstart capture/,
    opens: undefined,
  },
  {
    case: 2,
    name: "the store is empty",
    given: (node) => {
      rmSync(node.store, { recursive: true });
      mkdirSync(node.store, { mode: 0o700 });
    },
    code: "E_NO_CHECKPOINT",
    exit: 66,
    opens: undefined,
  },
  {
    case: 3,
    name: "the store holds an unfinished capture alone",
    given: (node) => {
      renameSync(alone(node), join(node.store, ".tmp-1-a"));
    },
    code: "E_NO_CHECKPOINT",
    exit: 66,
    says: /unfinished capture/,
    opens: undefined,
  },
  {
    case: 4,
    name: "the newest is empty",
    given: (node) => truncateSync(node.generation(2)),
    code: "E_TRUNCATED",
    ...fallsBack,
  },
  ...[1, 40, 300, 900, -1].map(
    (length): BadInput => ({
      case: 5,
      name: `the newest is cut at byte ${length}`,
      given: (node) => {
        const { length: whole } = readFileSync(node.generation(2));
        truncateSync(node.generation(2), length < 0 ? whole + length : length);
      },
      code: "E_TRUNCATED",
      ...fallsBack,
    }),
  ),
  {
    case: 5,
    name: "the only one is cut",
    given: (node) => truncateSync(alone(node), 500),
    code: "E_TRUNCATED",
    exit: 65,
    opens: undefined,
  },
  {
    case: 6,
    name: "a bit of the header is flipped",
    given: (node) => edit(alone(node), /"protected":"[^"]+"/, flip),
    code: "E_HEADER_JSON",
    exit: 65,
    opens: undefined,
  },
  {
    case: 6,
    name: "a digit of the generation in the header is another",
    given: (node) => editHeader(node, (text) => text.replace('"generation":2', '"generation":3')),
    code: "E_MAC",
    exit: 65,
    opens: undefined,
  },
  {
    case: 7,
    name: "a bit of the ciphertext is flipped",
    given: (node) => edit(node.generation(2), /"ciphertext":"[^"]+"/, flip),
    code: "E_MAC",
    ...fallsBack,
  },
  {
    case: 8,
    name: "two parts of the ciphertext have changed places",
    given: (node) =>
      edit(node.generation(2), /"ciphertext":"[^"]+"/, (found) => {
        const text = found.slice('"ciphertext":"'.length, -1);
        return `"ciphertext":"${text.slice(64, 128)}${text.slice(0, 64)}${text.slice(128)}"`;
      }),
    code: "E_MAC",
    ...fallsBack,
  },
  {
    case: 9,
    name: "the tag is zeroed",
    given: (node) =>
      edit(node.generation(2), /"tag":"[\w-]{22}"}$/, () => `"tag":"${"A".repeat(22)}"}`),
    code: "E_MAC",
    ...fallsBack,
  },
  {
    case: 10,
    name: "there are bytes after the end",
    given: (node) => appendFileSync(node.generation(2), "trailing"),
    code: "E_TRAILING",
    ...fallsBack,
  },
  {
    // A JWE has no length of its header: its end is a quotation mark, which must come within 128 KiB.
    case: 11,
    name: "the header does not end",
    given: (node) =>
      writeFileSync(alone(node), `{"protected":"${"A".repeat(300_000)}","unprotected":{}}`),
    code: "E_HEADER_JSON",
    exit: 65,
    opens: undefined,
  },
  {
    case: 11,
    name: "the header is empty",
    given: (node) => edit(alone(node), /"protected":"[^"]+"/, () => '"protected":""'),
    code: "E_HEADER_JSON",
    exit: 65,
    opens: undefined,
  },
  ...[
    { name: "is not JSON", change: () => "{" },
    {
      name: "has a member twice",
      change: (text: string) => text.replace('"node":', '"node":"n1","node":'),
    },
    { name: "is a list", change: () => "[]" },
    {
      name: "has a member of another type",
      change: (text: string) => text.replace(/"node":"n1"/, '"node":1'),
    },
  ].map(
    ({ name, change }): BadInput => ({
      case: 12,
      name: `the header ${name}`,
      given: (node) => editHeader(node, change),
      code: "E_HEADER_JSON",
      exit: 65,
      opens: undefined,
    }),
  ),
  // A JWE counts nothing; the one number that could be as wrong is the generation.
  ...[-1, 1.5, 1e300, 0].map(
    (generation): BadInput => ({
      case: 13,
      name: `the header's generation is ${generation}`,
      given: (node) => forged(node, { generation }),
      code: "E_HEADER_JSON",
      exit: 65,
      opens: undefined,
    }),
  ),
  {
    // A JWE has no records; what has a fixed length are iv, tags and MAC.
    case: 14,
    name: "the iv has another length",
    given: (node) =>
      edit(alone(node), /,"iv":"[\w-]{16}","ciphertext"/, () => ',"iv":"AAAA","ciphertext"'),
    code: "E_HEADER_JSON",
    exit: 65,
    opens: undefined,
  },
  {
    case: 14,
    name: "the ciphertext does not end",
    given: (node) => edit(alone(node), /","tag":"[\w-]{22}"}$/, () => "A".repeat(100)),
    code: "E_TRUNCATED",
    exit: 65,
    opens: undefined,
  },
  ...[65 * 1_048_576, 2 ** 40].map(
    (size): BadInput => ({
      case: 15,
      name: `the newest has ${size} bytes`,
      given: (node) => truncateSync(node.generation(2), size),
      code: "E_TOO_BIG",
      ...fallsBack,
    }),
  ),
  {
    case: 16,
    name: "the newest has a newer format",
    given: (node) => {
      editHeader(node, (text) => text.replace('"version":1', '"version":3'));
    },
    code: "E_VERSION",
    exit: 65,
    says: /newer blackstart.*format 3.*≤ 1.*file kept/,
    opens: undefined,
  },
  {
    case: 17,
    name: "line ends were changed in transfer",
    given: (node) => appendFileSync(node.generation(2), "\r\n"),
    code: "E_MAGIC",
    ...fallsBack,
  },
  {
    case: 18,
    name: "generation 1 was copied to 9",
    given: (node) => copyFileSync(node.generation(1), node.generation(9)),
    code: "E_GEN_MISMATCH",
    exit: 0,
    isSaid: true,
    restores: 2,
    says: /9.*1/,
  },
  {
    case: 18,
    name: "generation 1 was copied to 9, which is asked for",
    given: (node) => copyFileSync(node.generation(1), node.generation(9)),
    words: ["restore", "--force", "--generation", "9"],
    code: "E_GEN_MISMATCH",
    exit: 65,
    says: /name says 9.*1/,
  },
  {
    case: 19,
    name: "the store is another node's",
    given: (node) => certify(node, "n2"),
    code: "E_NODE",
    exit: 65,
    says: /n1.*n2|n2.*n1/,
    after: (node) => rmSync(node.at("etc/kubernetes/kubelet.conf")),
  },
  {
    case: 20,
    name: "the newest is of another installation",
    given: (node) => {
      using other = nodeWithStore();
      rmSync(other.store, { recursive: true });
      for (const level of ["a", "b", "c"]) {
        capture(other, ...objects({ level }));
      }
      copyFileSync(other.generation(3), node.generation(3));
    },
    code: "E_STORE_ID",
    exit: 0,
    isSaid: true,
    restores: 2,
  },
  {
    case: 21,
    name: "an older store was put back",
    given: (node) => rmSync(node.generation(2)),
    code: "E_ROLLBACK",
    exit: 0,
    isSaid: true,
    restores: 1,
    says: /generation 1\b.*generation 2\b/,
  },
  {
    case: 21,
    name: "an older store was put back, seen by verify",
    given: (node) => rmSync(node.generation(2)),
    words: ["verify"],
    code: "E_ROLLBACK",
    exit: 65,
    isSaid: true,
  },
  ...["", "garbage", undefined].map(
    (text): BadInput => ({
      case: 22,
      name: `the high-water mark is ${text === undefined ? "missing" : JSON.stringify(text)}`,
      given: (node) =>
        text === undefined
          ? rmSync(join(node.store, "hwm"))
          : writeFileSync(join(node.store, "hwm"), text),
      code: "W_HWM",
      exit: 0,
      isSaid: true,
      restores: 2,
      says: /freshness cannot be checked/,
    }),
  ),
  ...[
    "gen-0000000000000000007.jwe",
    "gen--0000000000000000007.jwe",
    "gen-99999999999999999999.jwe",
  ].map(
    (name): BadInput => ({
      case: 23,
      name: `a file is called ${name}`,
      given: (node) => copyFileSync(node.generation(1), join(node.store, name)),
      words: capturing,
      code: "W_NAME",
      exit: 0,
      isSaid: true,
      opens: 3,
    }),
  ),
  {
    case: 24,
    name: "the newest is a link",
    given: (node) => {
      renameSync(node.generation(2), node.at("elsewhere"));
      symlinkSync(node.at("elsewhere"), node.generation(2));
    },
    code: "E_NOT_REGULAR",
    ...fallsBack,
  },
  ...(["mkfifo", "mkdir"] as const).map(
    (tool): BadInput => ({
      case: 25,
      name: `the newest is made by ${tool}`,
      given: (node) => {
        rmSync(node.generation(2));
        assert.equal(spawnSync(tool, [node.generation(2)]).status, 0);
      },
      code: "E_NOT_REGULAR",
      ...fallsBack,
    }),
  ),
  {
    case: 26,
    name: "others can read a generation",
    given: (node) => chmodSync(node.generation(2), 0o644),
    code: "E_PERMS",
    exit: 0,
    isSaid: true,
    restores: 2,
    says: /mode 0644.*0600.*may have been read/,
  },
  {
    case: 26,
    name: "others can read a generation, seen by verify",
    given: (node) => chmodSync(node.generation(2), 0o644),
    words: ["verify"],
    code: "E_PERMS",
    exit: 77,
    isSaid: true,
  },
  {
    case: 27,
    name: "others can write into the store, seen by verify",
    given: (node) => chmodSync(node.store, 0o777),
    words: ["verify"],
    code: "E_PERMS",
    exit: 77,
    isSaid: true,
  },
  {
    case: 27,
    name: "others can write into the store, and something is to be committed",
    given: (node) => chmodSync(node.store, 0o777),
    words: capturing,
    code: "E_PERMS",
    exit: 77,
    after: (node) => assert.equal(generations(node).length, 2),
  },
  ...["gen-00000000000000000002.JWE", "GEN-00000000000000000002.jwe"].map(
    (name): BadInput => ({
      case: 31,
      name: `a file is called ${name}`,
      given: (node) => copyFileSync(node.generation(1), join(node.store, name)),
      code: "W_NAME",
      exit: 0,
      isSaid: true,
      restores: 2,
    }),
  ),
  ...["+x-y", "+999999-0"].map(
    (suffix): BadInput => ({
      case: 32,
      name: `the newest one's attempts are called ${suffix}`,
      given: (node) => {
        writeFileSync(join(node.store, `attempts-${"2".padStart(20, "0")}${suffix}`), "");
        writeFileSync(join(node.store, `blessed-${"1".padStart(20, "0")}`), "");
      },
      code: "W_ATTEMPTS",
      exit: 0,
      isSaid: true,
      restores: 1,
    }),
  ),
  {
    case: 33,
    name: "every generation's attempts are used up",
    given: (node) => {
      for (const number of ["1", "2"]) {
        writeFileSync(join(node.store, `attempts-${number.padStart(20, "0")}+0-3`), "");
      }
    },
    code: "E_BOOT_LOOP",
    exit: 0,
    says: /generation 2 failed 3 boots.*--reset-attempts/,
    after: (node) => assert.deepEqual(readdirSync(node.manifests), []),
  },
  // There is no journal: what is projected is told by the links alone.
  ...['{"bootId":"another","step":3}', '{"bootId":'].map(
    (text): BadInput => ({
      case: text.endsWith("}") ? 34 : 35,
      name: `a journal says ${text}`,
      given: (node) => {
        mkdirSync(node.at("run/blackstart"), { recursive: true, mode: 0o700 });
        writeFileSync(node.at("run/blackstart/journal.json"), text);
      },
      code: "",
      exit: 0,
      isSaid: true,
      restores: 2,
      after: (node) =>
        assert.equal(readFileSync(node.at("run/blackstart/journal.json"), "utf8"), text),
    }),
  ),
];

function generations({ store }: NodeRoot): readonly string[] {
  return readdirSync(store).filter((name) => /^gen-\d{20}\.jwe$/.test(name));
}
