import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { shownKinds } from "#app/api/eventRoutes.ts";
import { swapListCommand } from "#app/commands/clientSpecs.ts";
import { commands } from "#app/commands/commands.ts";
import { nearest } from "#app/commands/help.ts";
import * as words from "#app/commands/words.ts";
import { listMessages } from "#relay/routes.ts";
import { approveSwap, listSwaps } from "#swap/routes.ts";

const run = (...args: string[]) => runWith({}, ...args);

function runWith(env: Record<string, string>, ...args: string[]) {
  const clean = { ...process.env, LOCKSTEP_URL: "", LOCKSTEP_TOKEN: "", ...env };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["app/main.ts", ...args], {
    encoding: "utf8",
    env: clean,
  });
  return { status, stdout, stderr };
}

const names = commands.map(({ spec }) => spec.name);

describe("the command line", () => {
  it("tells what it can do, and starts nothing", () => {
    for (const args of [["--help"], ["-h"], ["help"]]) {
      const { status, stdout } = run(...args);
      assert.equal(status, 0);
      for (const name of names) assert.match(stdout, new RegExp(`^  ${name} +\\w`, "m"));
    }
    assert.deepEqual(run("help", "swap", "request"), run("swap", "request", "-h"));
    assert.deepEqual(run("help", "swap"), run("swap", "--help"));
    assert.match(run("swap", "--help").stdout, /^ {2}swap refund +\w/m);
    assert.match(run("--version").stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it("tells every command's options, with examples that the command takes", async () => {
    const { commandHelp } = await import("#app/commands/help.ts");
    const { readOptions } = await import("#app/commands/options.ts");
    for (const { spec } of commands) {
      const help = commandHelp(spec);
      for (const option of Object.keys(spec.options)) assert.ok(help.includes(`--${option}`), `${spec.name} ${option}`);
      assert.equal("json" in spec.options, spec.name !== "completion", `${spec.name} has --json`);
      assert.ok(spec.examples.length > 0, `${spec.name} has examples`);
      for (const example of spec.examples) {
        assert.ok(help.includes(`lockstep ${example}`));
        assert.ok(`${example} `.startsWith(`${spec.name} `), example);
        const [typed = ""] = example.split(/ {3}#| > /);
        const words = typed.slice(spec.name.length).match(/"[^"]*"|\S+/g) ?? [];
        readOptions(
          spec,
          words.map((word) => word.replaceAll('"', "")),
        );
      }
    }
    const { status, stdout } = run("recover", "--help");
    assert.equal(status, 0);
    for (const option of ["--config FILE", "--dry-run", "--once", "--json"]) assert.ok(stdout.includes(option), option);
  });

  it("knows the words that the API takes", () => {
    assert.deepEqual(words.messageStatuses, listMessages.query.shape.status.unwrap().options);
    assert.deepEqual(words.swapStatuses, listSwaps.query.shape.status.unwrap().options);
    assert.deepEqual(words.lockSteps, approveSwap.body.unwrap().unwrap().shape.step.unwrap().options);
    assert.deepEqual(
      words.eventKinds,
      shownKinds.map(({ kind }) => kind),
    );
  });

  it("refuses what it does not know with status 2, naming what is nearest", () => {
    const refusals: [string[], RegExp][] = [
      [[], /usage/],
      [["recvoer"], /did you mean recover\?/],
      [["xyzzy"], /there are start, demo/],
      [["help", "xyzzy"], /there is no command xyzzy/],
      [["recover", "--onec"], /did you mean --once\?/],
      [["recover", "--config"], /argument missing/],
      [["recover", "extra"], /'extra'/],
      [["swap"], /usage: lockstep swap COMMAND/],
      [["swap", "reqest"], /did you mean swap request\?/],
      [["swap", "request", "--surce", "x"], /did you mean --source\?/],
    ];
    for (const [args, words] of refusals) {
      const { status, stdout, stderr } = run(...args);
      assert.deepEqual([status, stdout], [2, ""], args.join(" "));
      assert.match(stderr, words);
    }
  });

  it("tells programs the same: help on standard output, refusals as the last line of standard error", () => {
    const helps: [string[], string[]][] = [
      [["--help", "--json"], names],
      [["help", "swap", "--json"], names.filter((name) => name.startsWith("swap "))],
      [["swap", "--json", "-h"], names.filter((name) => name.startsWith("swap "))],
    ];
    for (const [args, wanted] of helps) {
      const { status, stdout } = run(...args);
      const { commands: told } = JSON.parse(stdout) as { commands: { name: string }[] };
      assert.deepEqual([status, told.map(({ name }) => name)], [0, wanted], args.join(" "));
    }
    const one = run("swap", "list", "--help", "--json");
    assert.deepEqual([one.status, JSON.parse(one.stdout)], [0, swapListCommand]);
    assert.match(JSON.parse(run("--version", "--json").stdout).version, /^\d+\.\d+\.\d+$/);
    const refusals: [string[], RegExp][] = [
      [["swap", "request", "--surce", "x", "--json"], /did you mean --source\?/],
      [["swap", "get", "--json"], /expected ID/],
      [["recvoer", "--json"], /did you mean recover\?/],
      [["swap", "reqest", "--json"], /did you mean swap request\?/],
      [["swap", "--json"], /expected a command; there are request, get/],
      [["completion", "bash", "--json"], /there is no option --json/],
    ];
    for (const [args, words] of refusals) {
      const { status, stdout, stderr } = run(...args);
      assert.deepEqual([status, stdout], [2, ""], args.join(" "));
      const { error } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "");
      assert.deepEqual([error.code, error.retryable, error.details], ["usage-invalid", false, {}]);
      assert.match(error.message, words);
    }
  });

  it("refuses what does not fit a command before it asks or starts anything", async () => {
    const refusals: [string[], RegExp][] = [
      [["swap", "get"], /expected ID: the swap's id/],
      [["swap", "get", "one", "two"], /'two'/],
      [["completion", "tcsh"], /there are bash, zsh, fish/],
      [["completion", "bash,zsh"], /there is no 'bash,zsh'/],
      [["swap", "list", "--status", "lost"], /--status: there is no 'lost'; there are requested, /],
      [["message", "list", "--status", "sent,final"], /--status: there is no 'sent,final'/],
      [["swap", "approve", "ID", "--step", "claim"], /--step: .*there are lock-source, lock-target/],
      [["events", "--kind", "swap,swop"], /--kind: there is no 'swop'/],
      [["swap", "request", "--initiator", "alice"], /expected --source, --target and --counterparty, or --quote/],
      [["quote", "--source", "alpha:native", "--target", "beta:native"], /an amount on one of the two sides/],
      [["quote", "--source", "alpha:gold:1", "--target", "beta:native"], /--source: there is no asset/],
      [["swap", "list", "--limit", "0"], /--limit: expected a whole number above zero/],
      [["message", "send", "alpha", "beta"], /expected either --payload or --text/],
      [["start", "--config", "x.json", "--reset"], /--reset is of a local network/],
      [["network", "--port", "x"], /expected a port/],
      [["swap", "list", "--data-dir", "/nowhere"], /--data-dir: there is no local network in \/nowhere/],
      [["replay", "--config", "x.json", "--until", "2026-01-31T12:00:00"], /--until: expected .* time with its zone/],
      [["api-key", "create", "--role", "viewer"], /--name: expected a value/],
      [["api-key", "create", "--name", "x", "--role", "king"], /--role: /],
      [
        ["api-key", "create", "--name", "x", "--role", "viewer", "--expires", "soon"],
        /--expires: expected a time such/,
      ],
      [
        ["api-key", "create", "--name", "x", "--role", "viewer", "--expires", "2020-01-31T12:00:00Z"],
        /--expires: expected a time to come/,
      ],
    ];
    for (const [args, words] of refusals) {
      const found = commands.find(({ spec }) => `${args.join(" ")} `.startsWith(`${spec.name} `));
      const given = args.slice(found!.spec.name.split(" ").length);
      const runIt = await found!.load();
      await assert.rejects(runIt(given, []), (error: Error & { code: string }) => {
        assert.match(error.code, /^ERR_PARSE_ARGS/);
        assert.match(error.message, words);
        return true;
      });
    }
  });

  it("refuses files that are not what they are given for", () => {
    for (const [args, words] of [
      [["keys", "list", "package.json"], /package\.json: this is no keystore/],
      [["keys", "list", "/nowhere"], /the keystore cannot be read/],
      [["audit", "verify", "--export", "/nowhere"], /--export: there is no file \/nowhere/],
    ] as const) {
      const { status, stderr } = run(...args);
      assert.equal(status, 78, args.join(" "));
      assert.match(stderr, words);
    }
  });

  it("suggests only what is near", () => {
    assert.equal(nearest("dry-rn", ["dry-run", "once"]), "dry-run");
    assert.equal(nearest("json5", ["dry-run", "json"]), "json");
    assert.equal(nearest("zzzz", ["dry-run", "json"]), undefined);
  });
});

describe("the configuration on the command line", () => {
  let folder: string;
  const file = (name: string, value: unknown) => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(value));
    return path;
  };
  const chain = (chainId: number, url: string) => ({
    ...{ chainId, endpoints: [url], finality: { blocks: 1 }, blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
    ...{ gateway: `0x${"11".repeat(20)}`, timelock: `0x${"22".repeat(20)}` },
  });
  const whole = () => ({
    http: { port: 7600 },
    chains: { one: chain(1, "https://user:hush@node.example/v3/hush?key=hush"), two: chain(2, "http://127.0.0.1:1") },
    accounts: { relayer: { file: "relayer.key" } },
    sealingKey: { variable: "SEALING" },
    relay: {
      account: "relayer",
      validators: [{ name: "v", address: `0x${"33".repeat(20)}`, url: "http://v.example" }],
    },
    swap: { reactionSeconds: 10 },
  });
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-cli-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("is checked, with all errors at once and as JSON", () => {
    assert.deepEqual(run("config", "check", file("good.json", whole())).status, 0);
    const bad = file("bad.json", { ...whole(), http: { port: -1 }, swap: {}, sealingkey: 1 });
    const people = run("config", "check", bad);
    assert.equal(people.status, 78);
    for (const field of ["http.port", "swap.reactionSeconds", "sealingkey"]) assert.ok(people.stderr.includes(field));
    const programs = run("config", "check", bad, "--json");
    assert.equal(programs.status, 78);
    const { ok, fields } = JSON.parse(programs.stdout) as { ok: boolean; fields: string[] };
    assert.equal(ok, false);
    assert.deepEqual(fields.toSorted(), ["http.port", "sealingkey", "swap.reactionSeconds"]);
  });

  it("is shown with its defaults, and without what may be a key of a provider", () => {
    const { status, stdout } = run("config", "show", file("shown.json", whole()));
    assert.equal(status, 0);
    assert.ok(!stdout.includes("hush"));
    const shown = JSON.parse(stdout) as { chains: Record<string, { endpoints: string[]; logWindow: number }> };
    assert.deepEqual(shown.chains.one?.endpoints, ["https://node.example/[redacted]"]);
    assert.equal(shown.chains.one?.logWindow, 2_000);
  });

  it("has a JSON Schema that asks for what has no default", () => {
    const schema = JSON.parse(run("config", "schema").stdout) as { required: string[]; properties: object };
    assert.ok(schema.required.includes("chains") && !schema.required.includes("roles"));
    assert.ok("swap" in schema.properties);
    const ofValidator = JSON.parse(run("config", "schema", "--validator").stdout) as { required: string[] };
    assert.ok(ofValidator.required.includes("storeFile"));
  });
});

describe("completion in bash", () => {
  /** What bash offers for a line whose last word is still being typed. */
  function offers(...words: string[]): string[] {
    const script = [
      'source <("$NODE" app/main.ts completion bash)',
      `COMP_WORDS=(lockstep ${words.map((word) => `'${word}'`).join(" ")})`,
      `COMP_CWORD=${words.length}`,
      "_lockstep",
      `printf "%s\\n" "\${COMPREPLY[@]}"`,
    ].join("\n");
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], {
      encoding: "utf8",
      env: { ...process.env, NODE: process.execPath },
    });
    assert.equal(stderr, "");
    return stdout.split("\n").filter(Boolean);
  }

  it("offers commands, commands of a group, options, words and files, where each belongs", () => {
    assert.deepEqual(offers("s"), ["start", "swap", "service"]);
    assert.deepEqual(offers("swap", "re"), ["request", "refund", "reject"]);
    assert.deepEqual(offers("swap", "request", "--so"), ["--source", "--source-seconds"]);
    assert.deepEqual(offers("completion", ""), ["bash", "zsh", "fish", "--help"]);
    assert.deepEqual(offers("doctor", "--config", "package.j"), ["package.json"]);
    assert.deepEqual(offers("config", "check", "tsconf"), ["tsconfig.json"]);
    assert.deepEqual(offers("swap", "request", "--source", ""), []);
    assert.deepEqual(offers("help", "sw"), ["swap"]);
    assert.deepEqual(offers("help", "swap", "re"), ["request", "refund", "reject"]);
    assert.deepEqual(offers("help", "swap", "request", ""), []);
    assert.deepEqual(offers("demo", "--j"), ["--json"]);
  });

  it("offers the values of options that have no others", () => {
    assert.deepEqual(offers("api-key", "create", "--role", ""), ["viewer", "trader", "operator", "admin"]);
    assert.deepEqual(offers("message", "list", "--status", "fi"), ["final"]);
    assert.deepEqual(offers("swap", "approve", "ID", "--step", "lock-s"), ["lock-source"]);
    assert.deepEqual(offers("events", "--kind", "swap,l"), ["swap,lane", "swap,lock"]);
  });

  it("has the same words for the other shells", () => {
    for (const shell of ["zsh", "fish"]) {
      const { status, stdout } = run("completion", shell);
      assert.equal(status, 0);
      for (const { spec } of commands)
        for (const option of Object.keys(spec.options))
          assert.ok(stdout.includes(shell === "zsh" ? `--${option}[` : `-l ${option} `), `${shell} ${option}`);
      assert.ok(stdout.includes(shell === "zsh" ? "ROLE:(viewer trader" : "-l role -x -a 'viewer trader"), shell);
      assert.equal(stdout.includes('"help swap")'), shell === "zsh");
    }
  });
});
