import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { type Composed, compose, scrapeValidator } from "./composed.ts";
import { usesOf } from "./promql.ts";
import { parseYaml } from "./yaml.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("docs/operations.md");

const duration = z.string().regex(/^\d+[smh]$/);
const rulesSchema = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^[A-Z]\w+$/),
          expr: z.string().min(1),
          for: duration.optional(),
          labels: z.strictObject({ severity: z.enum(["critical", "warning"]) }),
          annotations: z.strictObject({ summary: z.string().min(1), runbook: z.string() }),
        }),
      ),
    }),
  ),
});
const { groups } = rulesSchema.parse(parseYaml(read("deploy/prometheus/alerts.yml")));
const alerts = groups.flatMap(({ rules }) => rules);

const targetSchema = z.object({ expr: z.string().min(1) });
const dashboardSchema = z.object({
  uid: z.literal("lockstep"),
  templating: z.object({ list: z.array(z.object({ name: z.string(), query: z.unknown() })) }),
  panels: z.array(
    z.object({
      ...{ id: z.number(), type: z.string(), title: z.string() },
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(targetSchema).optional(),
    }),
  ),
});
const dashboard = dashboardSchema.parse(JSON.parse(read("deploy/grafana/lockstep.json")));

/** As web pages of repositories make them of headings. */
const anchors = new Set(
  [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  ),
);

/** Labels of each metric, as the tables of the page have them. */
const section = /^## Metrics\n[\s\S]*?(?=^## )/m.exec(page)?.[0] ?? "";
const documented = new Map(
  [...section.matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| ([a-z, ]*) ?\| /gm)].flatMap(([, names = "", labels = ""]) =>
    [...names.matchAll(/`(\w+)`/g)].map(
      ([, name = ""]) => [name, labels.split(/, | or /).map((each) => each.trim())] as const,
    ),
  ),
);

/** What Prometheus itself adds. */
const targetLabels = ["job", "instance"];
const ofPrometheus = new Map([
  ["up", targetLabels],
  ["ALERTS", ["alertstate", "alertname"]],
]);

const pageOf = (metric: string) => metric.replace(/^lockstep_/, "").replace(/(_seconds)_(?:count|sum|bucket)$/, "$1");

describe("what operators deploy", () => {
  let composed: Composed;
  /** Names by what a service and a validator say that they have. */
  let told: Set<string>;

  before(async () => {
    composed = await compose();
    const bodies = [await composed.scrape(), await scrapeValidator()];
    told = new Set(bodies.flatMap((body) => [...body.matchAll(/^# HELP (\S+)/gm)].map(([, name = ""]) => name)));
  });
  after(() => composed.close());

  const flaws = (where: string, expression: string): string[] =>
    usesOf(expression).flatMap(({ metric, labels }) => {
      const own = ofPrometheus.get(metric) ?? documented.get(pageOf(metric)) ?? [];
      const known = [...own, ...targetLabels, ...(metric.endsWith("_bucket") ? ["le"] : [])];
      const isKnown = ofPrometheus.has(metric) || told.has(metric) || documented.has(pageOf(metric));
      return [
        ...(isKnown ? [] : [`${where}: there is no ${metric}`]),
        ...labels.filter((label) => !known.includes(label)).map((label) => `${where}: ${metric} has no ${label}`),
      ];
    });

  it("documents every metric that there is, and no other", () => {
    const ours = [...told].filter((name) => name.startsWith("lockstep_")).map((name) => name.replace("lockstep_", ""));
    assert.ok(ours.length > 40, `only ${ours.length}`);
    // Only there once there was such an error, a job, an end of a stage, a span, or something was read.
    const never = ["http_undeclared_errors_total", "queue_job_seconds", "stage_seconds", "trace_spans_total"];
    never.push("reads_total");
    assert.deepEqual([...ours, ...never].toSorted(), [...documented.keys()].toSorted());
  });

  it("has no label that Prometheus gives to whom it asks", () => {
    const clashes = [...documented].filter(([, labels]) => labels.some((label) => targetLabels.includes(label)));
    assert.deepEqual(clashes, []);
  });

  it("alerts on metrics and labels that exist", () => {
    assert.ok(alerts.length > 20);
    assert.deepEqual(
      alerts.flatMap(({ alert, expr }) => flaws(alert, expr)),
      [],
    );
  });

  it("names each alert once, and a section of the handbook for each", () => {
    const names = alerts.map(({ alert }) => alert);
    assert.deepEqual(names, [...new Set(names)]);
    const lost = alerts.filter(({ annotations: { runbook } }) => {
      const [file, anchor = ""] = runbook.split("#");
      return file !== "docs/operations.md" || !anchors.has(anchor);
    });
    assert.deepEqual(
      lost.map(({ alert, annotations }) => `${alert}: ${annotations.runbook}`),
      [],
    );
    const untold = names.filter((name) => !page.includes(`\`${name}\``));
    assert.deepEqual(untold, []);
  });

  it("fills in only labels that the alert has", () => {
    const wrong = alerts.flatMap(({ alert, expr, annotations: { summary } }) =>
      [...summary.matchAll(/\$labels\.(\w+)/g)]
        .map(([, label = ""]) => label)
        .filter(
          (label) =>
            !new RegExp(`\\bby \\([^)]*\\b${label}\\b`).test(expr) && !(label === "instance" && /^up/.test(expr)),
        )
        .map((label) => `${alert}: ${label}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("shows metrics and labels that exist", () => {
    const shown = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, expr] as const),
    );
    assert.ok(shown.length > 30);
    assert.deepEqual(
      shown.flatMap(([title, expr]) => flaws(title, expr)),
      [],
    );
  });

  it("shows alerts by the names that they have", () => {
    const [pattern = ""] =
      JSON.stringify(dashboard)
        .match(/alertname=~\\+"([^"\\]+)/)
        ?.slice(1) ?? [];
    assert.deepEqual(pattern.split("|").toSorted(), alerts.map(({ alert }) => alert).toSorted());
  });

  it("has a row for each part, and panels that do not overlap", () => {
    const { panels } = dashboard;
    const rows = panels.filter(({ type }) => type === "row").map(({ title }) => title);
    assert.deepEqual(rows, ["Overview", "Chains", "Lanes", "Swaps", "Sender", "Fleet", "API", "Stages"]);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const meet = panels.flatMap((a, i) =>
      panels.slice(i + 1).filter(({ gridPos: { x, y, w, h } }) => {
        const { gridPos: p } = a;
        return x < p.x + p.w && p.x < x + w && y < p.y + p.h && p.y < y + h;
      }),
    );
    assert.deepEqual(meet, []);
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  });

  it("asks processes under the jobs that the rules and the dashboard name", () => {
    const { scrape_configs: jobs } = z
      .object({
        scrape_configs: z.array(z.object({ job_name: z.string() })),
        rule_files: z.tuple([z.literal("alerts.yml")]),
      })
      .parse(parseYaml(read("deploy/prometheus/prometheus.yml")));
    assert.deepEqual(
      jobs.map(({ job_name }) => job_name),
      ["lockstep", "lockstep-validator"],
    );
    const constant = dashboard.templating.list.find(({ name }) => name === "job");
    assert.equal(constant?.query, "lockstep");
  });
});

describe("the part of YAML that is read", () => {
  it("is refused where it is anything else, or is not what it looks like", () => {
    assert.deepEqual(parseYaml("a:\n  - b: 1 # no\n".replace(" # no", "")), { a: [{ b: "1" }] });
    assert.deepEqual(parseYaml('a: "x: y"\nb:\n  - c\n  - d\n'), { a: "x: y", b: ["c", "d"] });
    assert.deepEqual(parseYaml("a: |\n  x\n    y\nb: z\n"), { a: "x\n  y\n", b: "z" });
    for (const text of [
      "a: {b: c}",
      "a: b: c",
      "a: b # c",
      "a: *b",
      "a: 'b'",
      "a: 1\na: 2",
      "a:\n  b: 1\n c: 2",
      "- a\nb: 1",
    ])
      assert.throws(() => parseYaml(text), SyntaxError, text);
  });
});
