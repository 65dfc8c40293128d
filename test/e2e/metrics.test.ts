import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseMetrics, sumMetrics } from "./metrics.ts";

const metrics = suite("e2e/metrics");

const text = `# HELP requests_total Number of requests.
# TYPE requests_total counter
requests_total{code="200",path="/a/{b}",verb="GET"} 3
requests_total{code="201",path="/a b",verb="POST"} 1e+06
requests_total{code="200",path="/",verb="WATCH"} 4 1767225600000
seconds_bucket{le="+Inf"} +Inf
up 1
`;

const cases = [
  { name: "a name alone", of: "up", labels: {}, sum: 1 },
  { name: "all samples of a name", of: "requests_total", labels: {}, sum: 1_000_007 },
  { name: "those with a label", of: "requests_total", labels: { code: "200" }, sum: 7 },
  {
    name: "those with two labels, of which one has braces",
    of: "requests_total",
    labels: { verb: "GET", path: "/a/{b}" },
    sum: 3,
  },
  { name: "an unknown name is nothing", of: "requests", labels: {}, sum: 0 },
  {
    name: "a label's beginning is not the label",
    of: "requests_total",
    labels: { code: "20" },
    sum: 0,
  },
  { name: "infinity", of: "seconds_bucket", labels: {}, sum: Number.POSITIVE_INFINITY },
];

for (const { name, of, labels, sum } of cases) {
  metrics(name, () => {
    assert.equal(sumMetrics(parseMetrics(text), of, labels), sum);
  });
}

metrics.run();
