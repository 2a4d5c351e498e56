import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { errorTable } from "#core/kernel/errors.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["contracts", "core", "relay", "swap", "app", "web", "test", "bench"];

/** Which top folders may import which; tests and benchmarks may import anything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  relay: ["core", "relay"],
  swap: ["core", "swap"],
  app: ["core", "relay", "swap", "app"],
  web: ["web"],
  test: ["core", "relay", "swap", "app", "test"],
  bench: ["core", "relay", "swap", "app", "test", "bench"],
};

/** A folder of core imports only folders of a lower rank, and itself. */
const coreRank: Readonly<Record<string, number>> = {
  ...{
    kernel: 0,
    abi: 0,
    config: 1,
    observe: 2,
    db: 3,
    redis: 3,
    events: 4,
    chain: 4,
    lease: 4,
    backup: 4,
    archive: 5,
  },
  ...{ indexer: 6, queue: 6, sender: 6, http: 6 },
};

const rootFiles = new Set([
  "README.md",
  "LICENSE",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "hardhat.config.ts",
  "biome.json",
]);

type Source = { path: string; text: string; imports: { specifier: string; target: string | undefined }[] };

function walk(folder: string): string[] {
  let entries: import("node:fs").Dirent[];
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

const importPattern =
  /^\s*(?:import|export)\s(?:[^"';]*?from\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

function resolveImport(from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return normalize(join(dirname(from), specifier));
  if (specifier === "#relay" || specifier === "#swap") return `${specifier.slice(1)}/index.ts`;
  return specifier.startsWith("#") ? specifier.slice(1) : undefined;
}

const files = folders.flatMap(walk);
const sources: Source[] = files
  .filter((path) => path.endsWith(".ts"))
  .map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    const imports = [...text.matchAll(importPattern)].map((match) => {
      const specifier = match[1] ?? match[2] ?? "";
      return { specifier, target: resolveImport(path, specifier) };
    });
    return { path, text, imports };
  });

/** True when an import brings in types and nothing that runs. */
function isTypeOnly(text: string, specifier: string): boolean {
  const escaped = specifier.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const [, clause = ""] = new RegExp(`(?:import|export)\\s([^"';]*?)from\\s*["']${escaped}["']`).exec(text) ?? [];
  if (clause.startsWith("type ")) return true;
  const named = /^\{([^}]*)\}\s*$/.exec(clause.trim())?.[1];
  return named?.split(",").every((each) => each.trim() === "" || each.trim().startsWith("type ")) ?? false;
}

const top = (path: string) => path.split("/")[0] ?? "";
const none = (found: readonly string[]) => assert.deepEqual(found, []);
const isGenerated = (path: string) => path.startsWith("core/abi/");

describe("architecture", () => {
  it("finds the sources it is about", () => {
    assert.ok(sources.length > 50, `only ${sources.length} files`);
    assert.ok(sources.some(({ imports }) => imports.some(({ specifier }) => specifier.startsWith("#core/"))));
  });

  it("keeps to the import table, crossing folders by package imports and staying inside by relative paths", () => {
    none(
      sources.flatMap(({ path, imports }) =>
        imports.flatMap(({ specifier, target }) => {
          if (target === undefined) return [];
          const [here, there] = [top(path), top(target)];
          if (!mayImport[here]?.includes(there)) return [`${path} must not import ${specifier}`];
          if (here === there && here !== "test" && specifier.startsWith("#"))
            return [`${path}: ${specifier} should be relative`];
          if (here !== there && !specifier.startsWith("#"))
            return [`${path}: ${specifier} should go through package imports`];
          return [];
        }),
      ),
    );
  });

  it("lets app enter relay and swap by their front doors only: what they do, what they say over HTTP, and how contracts are spoken to", () => {
    const inner = /^#(relay|swap)\/(?!routes\.ts$|protocol\/)/;
    none(
      sources
        .filter(({ path }) => top(path) === "app")
        .flatMap(({ path, imports }) =>
          imports.filter(({ specifier }) => inner.test(specifier)).map(({ specifier }) => `${path}: ${specifier}`),
        ),
    );
  });

  it("lets a client load nothing of the service: routes, what they are made of, and zod and viem", () => {
    const graph = new Map(sources.map((source) => [source.path, source]));
    const packages = new Set<string>();
    const seen = new Set<string>();
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const { text = "", imports = [] } = graph.get(path) ?? {};
      for (const { specifier, target } of imports) {
        if (isTypeOnly(text, specifier)) continue;
        if (target !== undefined) visit(target);
        else packages.add(specifier);
      }
    };
    visit("app/client/index.ts");
    assert.ok(seen.has("swap/routes.ts") && seen.has("relay/routes.ts"));
    // hash-wasm: keccak of lock ids, which a party computes itself before it shows a secret.
    assert.deepEqual([...packages].sort(), ["hash-wasm", "node:crypto", "node:util", "viem", "zod"]);
  });

  it("imports only lower ranks inside core", () => {
    const folder = (path: string) => path.split("/")[1] ?? "";
    none(
      sources
        .filter(({ path }) => top(path) === "core")
        .flatMap(({ path, imports }) => {
          const rank = coreRank[folder(path)];
          if (rank === undefined) return [`${path} is in a folder without a rank`];
          return imports
            .filter(
              ({ target }) =>
                target !== undefined && folder(target) !== folder(path) && (coreRank[folder(target)] ?? 99) >= rank,
            )
            .map(({ specifier }) => `${path} must not import ${specifier}`);
        }),
    );
  });

  it("has no import cycles", () => {
    const graph = new Map(
      sources.map(({ path, imports }) => [path, imports.flatMap(({ target }) => (target ? [target] : []))]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      else if (!done.has(path)) {
        for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
        done.add(path);
      }
    };
    for (const path of graph.keys()) visit(path, []);
    none(cycles);
  });

  it("keeps files short: 350 lines, tests and benchmarks 500, contracts 300", () => {
    const cap = (path: string) =>
      path.endsWith(".sol") && !path.startsWith("test/") ? 300 : ["test", "bench"].includes(top(path)) ? 500 : 350;
    none(
      files
        .filter((path) => /\.(ts|sol|mjs)$/.test(path) && !isGenerated(path))
        .map((path) => ({ path, lines: readFileSync(join(root, path), "utf8").split("\n").length - 1 }))
        .filter(({ path, lines }) => lines > cap(path))
        .map(({ path, lines }) => `${path} has ${lines} lines`),
    );
  });

  it("keeps functions short: 60 lines, bodies of factories 150", () => {
    none(sources.filter(({ path }) => !["test", "bench"].includes(top(path))).flatMap(longFunctions));
  });

  it("reads the environment in one file and prints in one file", () => {
    none(
      sources
        .filter(
          ({ path, text }) =>
            path !== "core/config/env.ts" && !["test", "bench"].includes(top(path)) && /process\.env/.test(text),
        )
        .map(({ path }) => path),
    );
    const mayPrint = (path: string) => path === "app/terminal.ts" || ["test", "bench"].includes(top(path));
    none(
      sources
        .filter(({ path, text }) => !mayPrint(path) && /\bconsole\.|process\.std(out|err)\.write/.test(text))
        .map(({ path }) => path),
    );
  });

  it("keeps the root tidy", () => {
    const found = readdirSync(root, { withFileTypes: true }).filter(
      (entry) => entry.isFile() && !entry.name.startsWith("."),
    );
    none(found.map(({ name }) => name).filter((name) => !rootFiles.has(name)));
  });

  it("documents every error code as the table has it", () => {
    const rows = readFileSync(join(root, "docs/errors.md"), "utf8")
      .split("\n")
      .flatMap((line) => /^\| `([a-z-]+)` \| (\d{3}) \| (yes|no) \| (.+?) \|/.exec(line) ?? []);
    const documented: Record<string, unknown> = {};
    for (let i = 0; i < rows.length; i += 5)
      documented[rows[i + 1] ?? ""] = {
        status: Number(rows[i + 2]),
        retryable: rows[i + 3] === "yes",
        title: rows[i + 4],
      };
    assert.deepEqual(documented, errorTable);
  });
});

/** Formatted code only: a function begins on the line of its head and ends at the brace with the same indentation. */
function longFunctions({ path, text }: Source): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    const head =
      /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|(?:const )?(\w+)(?::.*)? = (?:async )?\(.*=> \{$|(\w+)\(.*\) ?(?::.*)?\{$)/.exec(
        line,
      );
    if (!head || /^\s*(?:if|for|while|switch|catch)\b/.test(line)) return [];
    const [, indent = "", ...names] = head;
    const name = names.find(Boolean) ?? "";
    const length =
      lines.slice(start).findIndex((end) => end.startsWith(`${indent}}`) && !end.startsWith(`${indent}} `)) + 1;
    const cap = /^create[A-Z]/.test(name) ? 150 : 60;
    return length > cap ? [`${relative(".", path)}:${start + 1} ${name} has ${length} lines`] : [];
  });
}
