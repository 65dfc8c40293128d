import assert from "node:assert/strict";
import { suite } from "uvu";
import { checkFiles } from "../../scripts/check.mjs";

const check = suite("scripts/check.mjs");

const goodTest = 'const plan = suite("plan");\nplan("works", () => {});\n\nplan.run();\n';
const good: Readonly<Record<string, string>> = {
  "src/main.ts": 'import { run } from "./cli/args.ts";\nprocess.exitCode = 0;\n',
  "src/cli/args.ts": 'import { plan } from "../plan/plan.ts";\nimport "../store/store.ts";\n',
  "src/store/store.ts": 'import fs from "node:fs";\nimport { seal } from "./seal.ts";\n',
  "src/store/seal.ts": 'import { createCipheriv } from "node:crypto";\n',
  "src/plan/plan.ts": 'import type { Plan } from "../model/plan.ts";\n// setTimeout(f)\n',
  "src/plan/lazy.ts": 'export const yaml = async () => await import("yaml");\n',
  "src/project/project.ts": 'import { write } from "../host/file.ts";\n',
  "src/host/file.ts": 'import fs from "node:fs";\n',
  "src/model/plan.ts": "export interface Plan {}\n",
  "test/plan/plan.test.ts": goodTest,
  "test/root/boot.test.ts": goodTest,
  "package-lock.json": "{}",
  "examples/README.md": "/etc/kubernetes/manifests",
};

const cases: readonly {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly says: RegExp;
}[] = [
  {
    name: "a lower layer may not import a higher one",
    file: "src/host/file.ts",
    text: 'import { open } from "../store/store.ts";\n',
    says: /layer 2 imports src\/store\/store.ts of layer 3/,
  },
  {
    name: "a re-export is an import",
    file: "src/model/plan.ts",
    text: 'export { write } from "../host/file.ts";\n',
    says: /layer 0 imports/,
  },
  {
    name: "an import over several lines is seen",
    file: "src/model/plan.ts",
    text: 'import {\n  write,\n  read,\n} from "../host/file.ts";\n',
    says: /layer 0 imports/,
  },
  {
    name: "a dynamic import is an import",
    file: "src/model/plan.ts",
    text: 'const f = async () => (await import("../host/file.ts")).write;\n',
    says: /layer 0 imports/,
  },
  {
    name: "a type import is an import",
    file: "src/model/plan.ts",
    text: 'import type { Write } from "../host/file.ts";\n',
    says: /layer 0 imports/,
  },
  {
    name: "a stage may not import another, even one below it",
    file: "src/project/project.ts",
    text: 'import { plan } from "../plan/plan.ts";\n',
    says: /stage project imports stage plan/,
  },
  {
    name: "the pure half of a stage may not import a door",
    file: "src/store/seal.ts",
    text: 'import { store } from "./store.ts";\n',
    says: /layer 1 imports src\/store\/store.ts of layer 3/,
  },
  {
    name: "a pure file may not import node:fs",
    file: "src/plan/plan.ts",
    text: 'import { readFileSync } from "node:fs";\n',
    says: /a pure file imports node:fs/,
  },
  {
    name: "a pure file may not import node:fs/promises lazily",
    file: "src/plan/plan.ts",
    text: 'const f = () => import("node:fs/promises");\n',
    says: /a pure file imports node:fs\/promises/,
  },
  {
    name: "a pure file sets no timer",
    file: "src/plan/plan.ts",
    text: "setTimeout(() => {}, 5);\n",
    says: /sets a timer/,
  },
  {
    name: "a source file outside the layers has no place",
    file: "src/extra/thing.ts",
    text: "",
    says: /has no layer/,
  },
  {
    name: "what cannot be bundled may not be imported",
    file: "src/cli/args.ts",
    text: "const f = (name: string) => import(name);\n",
    says: /no literal/,
  },
  {
    name: "a drawer is not a name",
    file: "src/model/string-utils.ts",
    text: "",
    says: /says nothing/,
  },
  {
    name: "a drawer is not a name in a test either",
    file: "test/plan/helpers.ts",
    text: "",
    says: /says nothing/,
  },
  { name: "names are in kebab-case", file: "src/model/podKey.ts", text: "", says: /kebab-case/ },
  {
    name: "a source file over 250 lines is two",
    file: "src/model/long.ts",
    text: "x;\n".repeat(251),
    says: /251 lines/,
  },
  {
    name: "only main sets the exit status",
    file: "src/cli/args.ts",
    text: "process.exitCode = 1;\n",
    says: /exit status/,
  },
  {
    name: "a test folder mirrors one of src",
    file: "test/nowhere/x.test.ts",
    text: goodTest,
    says: /mirrors no folder/,
  },
  {
    name: "a test file without run() is found",
    file: "test/plan/plan.test.ts",
    text: 'const plan = suite("plan");\nplan("works", () => {});\n',
    says: /does not end in/,
  },
  {
    name: "a test file that runs another suite is found",
    file: "test/plan/plan.test.ts",
    text: 'const plan = suite("plan");\nplan("works", () => {});\nother.run();\n',
    says: /does not end in/,
  },
  {
    name: "run() in a comment does not count",
    file: "test/plan/plan.test.ts",
    text: 'const plan = suite("plan");\nplan("works", () => {});\n// plan.run();\n',
    says: /does not end in/,
  },
  {
    name: "a second suite that never runs is found",
    file: "test/plan/plan.test.ts",
    text: 'const a = suite("a");\nconst b = suite("b");\na("works", () => {});\nb.run();\n',
    says: /a is never run/,
  },
  {
    name: ".only is found",
    file: "test/plan/plan.test.ts",
    text: 'const plan = suite("plan");\nplan.only("works", () => {});\nplan.run();\n',
    says: /\.only/,
  },
  {
    name: "a before hook is found",
    file: "test/plan/plan.test.ts",
    text: 'const plan = suite("plan");\nplan.before(() => {});\nplan.run();\n',
    says: /before hook/,
  },
  {
    name: "a path of the machine is found",
    file: "examples/README.md",
    text: "see /home/somebody/checkout/x\n",
    says: /names \/home\/somebody\/checkout/,
  },
  {
    name: "where a package came from is found",
    file: "package-lock.json",
    text: '{"resolved": "https://mirror.example/x.tgz"}',
    says: /resolved/,
  },
  {
    name: "a package registry is found",
    file: "examples/README.md",
    text: `npm i --registry https://${["registry", "npmjs", "org"].join(".")}`,
    says: /package registry/,
  },
];

check("a repository that keeps the rules passes", () => {
  assert.deepEqual(findings({}), []);
});

for (const { name, file, text, says } of cases) {
  check(name, () => {
    const found = findings({ [file]: text });
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", says);
    assert.ok(found[0]?.startsWith(`${file}: `), found[0]);
  });
}

function findings(changes: Readonly<Record<string, string>>): readonly string[] {
  return checkFiles(new Map(Object.entries({ ...good, ...changes })), ["/home/somebody/checkout"]);
}

check.run();
