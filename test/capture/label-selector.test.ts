import assert from "node:assert/strict";
import { suite } from "uvu";
import { matchesLabels, parseLabelSelector } from "../../src/capture/label-selector.ts";
import { rejects } from "../rejects.ts";

const selector = suite("capture/label-selector");

const labels = { tier: "control-plane", env: "prod", "example.com/x": "", constructor: "c" };

const cases: readonly (readonly [text: string, matches: boolean])[] = [
  ["", true],
  ["  ", true],
  ["tier=control-plane", true],
  ["tier==control-plane", true],
  ["tier = control-plane", true],
  [" tier  ==  control-plane ", true],
  ["tier=other", false],
  ["tier!=other", true],
  ["tier!=control-plane", false],
  ["absent!=x", true],
  ["absent=", false],
  ["example.com/x=", true],
  ["example.com/x", true],
  ["absent", false],
  ["!absent", true],
  ["! absent", true],
  ["!tier", false],
  ["tier in (a, control-plane)", true],
  ["tier in (a,b)", false],
  ["tier in(control-plane)", true],
  ["tier in ()", false],
  ["example.com/x in ()", true],
  ["example.com/x in (a,)", true],
  ["tier notin (a,b)", true],
  ["tier notin (control-plane)", false],
  ["absent notin (a)", true],
  ["tier=control-plane,env in (prod,dev),!absent", true],
  ["tier=control-plane,env in (dev,test),!absent", false],
  ["toString", false],
  ["constructor=c", true],
];

for (const [text, matches] of cases) {
  selector(`"${text}" ${matches ? "selects" : "does not select"} the pod`, () => {
    assert.equal(matchesLabels(parseLabelSelector(text), labels), matches);
  });
}

const refused = [
  "=a",
  "a=b=c",
  "a,,b",
  "a,",
  "a in b",
  "a in (b",
  "a in b)",
  "a in (b c)",
  "a in ((b))",
  "A B",
  "a=*",
  "a=b!",
  "!a=b",
  "a>1",
  "-a",
  "a/b/c",
  "UPPER/a",
  `a=${"x".repeat(64)}`,
  `${"x".repeat(64)}=a`,
];

for (const text of refused) {
  selector(`refuses "${text.slice(0, 20)}"`, async () => {
    await rejects(() => parseLabelSelector(text), "E_CONFIG");
  });
}

selector.run();
