import assert from "node:assert/strict";
import { suite } from "uvu";
import { defaultConfig } from "../src/config.ts";
import { configLimitBytes, parseConfig } from "../src/config-file.ts";
import { Failure } from "../src/errors.ts";

const test = suite("config-file");

const whole = `# everything
select:
  namespaces: [kube-system, edge]
  labelSelector: "tier in (control-plane, node)"
  priorityClassNames: [system-node-critical]
kubeconfig: /var/lib/kubelet/kubeconfig
staticPodPath: /etc/kubernetes/static
recipients:
  - /etc/blackstart/break-glass.jwk
probe: {deadline: 1m30s, network: 500ms, endpoints: ["https://10.0.0.1:6443", "https://[fd00::1]"]}
capture: {interval: 90s}
retention: {generations: 7}
settle: 1h30m
secretEnv: refuse
swap: allow
images: {pin: false, pullRecords: keep, archive: /var/lib/blackstart-images}
`;

test("a whole file gives every setting", () => {
  assert.deepEqual(parseConfig(whole, "c.yaml"), {
    root: "/",
    select: {
      kind: "selector",
      namespaces: ["kube-system", "edge"],
      labelSelector: "tier in (control-plane, node)",
      priorityClassNames: ["system-node-critical"],
    },
    kubeconfig: "/var/lib/kubelet/kubeconfig",
    staticPodPath: "/etc/kubernetes/static",
    recipients: ["/etc/blackstart/break-glass.jwk"],
    probe: {
      deadlineMs: 90_000,
      networkMs: 500,
      endpoints: ["https://10.0.0.1:6443", "https://[fd00::1]"],
    },
    capture: { intervalMs: 90_000 },
    retention: { generations: 7 },
    settleMs: 5_400_000,
    secretEnv: "refuse",
    swap: "allow",
    images: { pin: false, pullRecords: "keep", archive: "/var/lib/blackstart-images" },
  });
});

const defaults = [
  { name: "an empty file", text: "" },
  { name: "a file of comments", text: "# nothing\n\n" },
  { name: "an empty document", text: "---\n" },
  { name: "an empty map", text: "{}" },
  { name: "keys without values", text: "select:\nprobe:\nimages:\nsettle:\nrecipients: null\n" },
  { name: "a byte order mark", text: "\uFEFF# x\n" },
  {
    name: "the defaults as the documentation writes them",
    text: `select: annotated
kubeconfig: auto
staticPodPath: auto
recipients: []
probe: {deadline: 5s, network: 30s, endpoints: []}
retention: {generations: 3}
settle: 10m
secretEnv: inline
swap: refuse
images: {pin: true, pullRecords: set-aside, archive: off}
`,
  },
];
for (const { name, text } of defaults) {
  test(`${name} gives the defaults`, () => {
    assert.deepEqual(parseConfig(text, "c.yaml"), defaultConfig);
  });
}

test("the configuration cannot be changed", () => {
  const config = parseConfig(whole, "c.yaml");
  for (const part of [config, config.select, config.probe, config.probe.endpoints, config.images]) {
    assert.ok(Object.isFrozen(part));
  }
});

const accepted = [
  { name: "select all", text: "select: all", key: "select", value: { kind: "all" } },
  {
    name: "one selector of three",
    text: "select: {namespaces: [edge]}",
    key: "select",
    value: {
      kind: "selector",
      namespaces: ["edge"],
      labelSelector: undefined,
      priorityClassNames: [],
    },
  },
  { name: "zero without a unit", text: "settle: 0", key: "settleMs", value: 0 },
  { name: "a fraction of an hour", text: "settle: 1.5h", key: "settleMs", value: 5_400_000 },
  { name: "JSON", text: '{"swap": "allow"}', key: "swap", value: "allow" },
  {
    name: "an alias",
    text: "kubeconfig: &k /a\nstaticPodPath: *k",
    key: "staticPodPath",
    value: "/a",
  },
] as const;
for (const { name, text, key, value } of accepted) {
  test(`${name} is taken`, () => {
    assert.deepEqual(parseConfig(text, "c.yaml")[key], value);
  });
}

const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]
`;
const rejected: readonly { name: string; text: string; line?: number; says?: RegExp }[] = [
  { name: "not YAML", text: "select: all\nprobe: [", line: 2 },
  { name: "two documents", text: "swap: allow\n---\nswap: refuse\n" },
  { name: "an unknown tag", text: "swap: !vault secret\n", line: 1 },
  { name: "a list", text: "- select\n", line: 1, says: /map of fields/ },
  { name: "a word", text: "annotated", line: 1 },
  { name: "a misspelt key", text: "\nselct: all\n", line: 2, says: /Did you mean select\?/ },
  {
    name: "a misspelt inner key",
    text: "probe:\n  deadlne: 5s\n",
    line: 2,
    says: /mean deadline\?/,
  },
  { name: "a key far from all", text: "apiVersion: v1\n", line: 1, says: /Known here: select/ },
  { name: "a key that is no text", text: "? [a]\n: b\n", line: 1 },
  { name: "a key of the prototype", text: "__proto__: {}\nconstructor: 1\n", line: 1 },
  { name: "a duplicate key", text: "swap: allow\nswap: refuse\n", line: 2, says: /twice/ },
  { name: "a wrong word", text: "swap: maybe\n", line: 1, says: /refuse or allow.*maybe/ },
  { name: "a wrong selection", text: "select: some\n", line: 1 },
  { name: "a selection of nothing", text: "select: {}\n", line: 1 },
  { name: "a selection by an empty list", text: "select: {namespaces: []}\n", line: 1 },
  { name: "a namespace that is no name", text: "select:\n  namespaces: [Kube_System]\n", line: 2 },
  { name: "an empty label selector", text: "select: {labelSelector: ' '}\n", line: 1 },
  {
    name: "generations: 0",
    text: "retention: {generations: 0}\n",
    line: 1,
    says: /from 1 to 1000.*0/,
  },
  { name: "interval: 0", text: "capture: {interval: 0}\n", line: 1 },
  { name: "interval: 10", text: "capture:\n  interval: 10\n", line: 2 },
  { name: "generations: -1", text: "retention:\n  generations: -1\n", line: 2 },
  { name: "generations: 2.5", text: "retention: {generations: 2.5}\n", line: 1 },
  { name: "generations as text", text: "retention: {generations: '3'}\n", line: 1 },
  { name: "a size in place of a duration", text: "settle: 10 MB\n", line: 1, says: /duration/ },
  { name: "a negative duration", text: "settle: -1s\n", line: 1 },
  { name: "a number in place of a duration", text: "settle: 5\n", line: 1 },
  { name: "an endless deadline", text: "probe: {deadline: 9999h}\n", line: 1 },
  { name: "a deadline of nothing", text: "probe: {deadline: 0}\n", line: 1 },
  { name: "an infinite duration", text: `settle: ${"9".repeat(400)}h\n`, line: 1 },
  { name: "yes in place of true", text: "images: {pin: yes}\n", line: 1, says: /true or false/ },
  { name: "a relative path", text: "kubeconfig: kubelet.conf\n", line: 1 },
  { name: "a path with a line break", text: 'staticPodPath: "/a\\nb"\n', line: 1 },
  { name: "a path that is a number", text: "recipients: [5]\n", line: 1 },
  { name: "recipients that are no list", text: "recipients: /a\n", line: 1 },
  { name: "an endpoint without TLS", text: "probe: {endpoints: ['http://10.0.0.1']}\n", line: 1 },
  {
    name: "an endpoint that is no URL",
    text: "probe:\n  endpoints:\n  - 10.0.0.1:6443\n",
    line: 3,
  },
  { name: "an unresolved alias", text: "kubeconfig: *nothing\n", line: 1 },
  { name: "an alias of itself", text: "recipients: &r [*r]\n", says: /too deep/ },
  { name: "aliases that multiply", text: bomb, says: /too many values/ },
  { name: "a thousand open lists", text: `select: ${"[".repeat(1_000)}${"]".repeat(1_000)}` },
  { name: "a hundred thousand open lists", text: "[".repeat(100_000) },
  { name: "more than 1 MiB", text: `# ${"x".repeat(configLimitBytes)}`, says: /larger/ },
];
for (const { name, text, line, says } of rejected) {
  test(`${name} is E_CONFIG`, () => {
    const failure = failureOf(text);
    assert.equal(failure?.code, "E_CONFIG");
    assert.equal(failure?.exit, 78);
    assert.match(failure?.message ?? "", says ?? /./);
    if (line !== undefined) {
      assert.match(failure?.message ?? "", new RegExp(`c\\.yaml, line ${line}\\b`));
    }
    assert.ok(!/[\r\n]/.test(failure?.message ?? ""));
  });
}

test("a file that is no configuration is not quoted", () => {
  const marker = "SECRETMARKER";
  for (const text of [
    `-----BEGIN KEY-----\n${marker}\n-----END`,
    `{"k":"${marker}`,
    `a: [${marker}\n}`,
    `users:\n- token: ${marker}`,
    `*${marker}`,
    `!${marker} x`,
  ]) {
    const failure = failureOf(text);
    assert.equal(failure?.code, "E_CONFIG");
    if (!text.startsWith("-----")) {
      assert.ok(!failure?.message.includes(marker), failure?.message);
    }
  }
});

test("of 3,000 mutations each is a configuration or E_CONFIG", () => {
  const seed = Number(process.env["SEED"] ?? 20_261_122);
  const random = generator(seed);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)];
  const parts = [
    "\n",
    ": ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!x ",
    "'",
    '"',
    "|",
    "-",
    "\t",
    "\0",
    "9e99",
    "#",
    "? ",
  ];
  let taken = 0;
  for (let round = 0; round < 3_000; round += 1) {
    let text = whole;
    for (let change = 0; change <= random() * 4; change += 1) {
      const at = Math.floor(random() * text.length);
      const length = Math.floor(random() * 12);
      const kind = Math.floor(random() * 4);
      const insert =
        kind === 0
          ? (pick(parts) ?? "")
          : kind === 1
            ? String.fromCharCode(Math.floor(random() * 300))
            : kind === 2
              ? text.slice(at, at + length).repeat(2)
              : "";
      text = text.slice(0, at) + insert + text.slice(at + (kind === 0 ? 0 : length));
    }
    try {
      parseConfig(text, "c.yaml");
      taken += 1;
    } catch (error) {
      assert.ok(error instanceof Failure, `seed ${seed}, round ${round}: ${error}`);
      assert.equal(error.code, "E_CONFIG", `seed ${seed}, round ${round}`);
    }
  }
  assert.ok(taken > 50 && taken < 2_950, `${taken} were taken: the mutations test nothing`);
});

/** Park and Miller's generator: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed % 2_147_483_647;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function failureOf(text: string): Failure | undefined {
  try {
    parseConfig(text, "c.yaml");
  } catch (error) {
    if (error instanceof Failure) {
      return error;
    }
    throw error;
  }
  return undefined;
}

test.run();
