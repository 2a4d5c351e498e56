import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { readEach, readKey } from "#core/config/accounts.ts";
import { finalitySeconds } from "#core/config/finality.ts";
import { loadConfig } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "lockstep-config-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const chain = {
  chainId: 1,
  endpoints: ["http://127.0.0.1:8545"],
  finality: { blocks: 2 },
  ...{ blockSeconds: 12, inclusionSeconds: 60, skewSeconds: 2 },
  gateway: `0x${"11".repeat(20)}`,
  timelock: `0x${"22".repeat(20)}`,
};
const good = {
  http: { port: 7600 },
  chains: { alpha: chain },
  accounts: { alice: { variable: "ALICE" } },
  sealingKey: { file: "sealing.key" },
  relay: { account: "alice", validators: [{ name: "v1", address: `0x${"33".repeat(20)}`, url: "http://127.0.0.1:1" }] },
  swap: { reactionSeconds: 5 },
};

const four = ["a", "b", "c", "d"].map((name) => `http://${name}.example`);

function load(value: unknown) {
  const file = join(folder, "config.json");
  writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value));
  return loadConfig(file, serviceConfigSchema);
}

describe("the configuration", () => {
  it("is accepted, completed with defaults and frozen", () => {
    const config = load(good);
    assert.deepEqual(config.roles, ["indexer", "relayer", "swapper", "api"]);
    assert.equal(config.http.host, "127.0.0.1");
    assert.ok(Object.isFrozen(config));
    assert.equal(config.chains.alpha?.outageSeconds, 0);
  });

  const usd = { chain: "beta", asset: { type: "erc20", address: `0x${"44".repeat(20)}` }, decimals: 6, symbol: "USD" };
  const desk = {
    account: "alice",
    assets: { eth: { chain: "alpha", asset: { type: "native" }, decimals: 18, symbol: "ETH" }, usd },
    pairs: [{ source: "eth", target: "usd", least: "1", most: "9", feeBps: 30 }],
    prices: { table: { "ETH/USD": "2500.25" } },
  };
  const withDesk = (change: object) => ({ ...good, swap: { reactionSeconds: 5, desk: { ...desk, ...change } } });
  const withPair = (change: object) => withDesk({ pairs: [{ ...desk.pairs[0], ...change }] });

  it("has a desk whose numbers are read exactly", () => {
    const read = load(withDesk({})).swap.desk;
    assert.deepEqual([read?.pairs[0]?.most, read?.pairs[0]?.fixedFee, read?.quoteSeconds], [9n, 0n, 30]);
    assert.deepEqual(read?.prices, desk.prices);
  });

  it("is refused with the path of the field of the desk at fault", () => {
    const cases: [unknown, string][] = [
      [withDesk({ account: "nobody" }), "account"],
      [withDesk({ prices: { table: { "ETH/USD": 2500 } } }), "prices"],
      [withDesk({ prices: { file: "prices.json" } }), "prices"],
      [withDesk({ pairs: [] }), "pairs"],
      [withDesk({ pairs: [...desk.pairs, ...desk.pairs] }), "pairs.1"],
      [withDesk({ assets: { ...desk.assets, dollar: usd } }), "assets.dollar"],
      [withDesk({ assets: { ...desk.assets, usd: { ...usd, chain: "alpha" } } }), "pairs.0.target"],
      [withDesk({ assets: { ...desk.assets, usd: { ...usd, decimals: 1.5 } } }), "assets.usd.decimals"],
      [withPair({ source: "constructor" }), "pairs.0.source"],
      [withPair({ target: "eur" }), "pairs.0.target"],
      [withPair({ least: "10" }), "pairs.0.most"],
      [withPair({ least: 1 }), "pairs.0.least"],
      [withPair({ least: "0" }), "pairs.0.least"],
      [withPair({ feeBps: 10_000 }), "pairs.0.feeBps"],
      [withPair({ feeBps: -1 }), "pairs.0.feeBps"],
    ];
    for (const [value, field] of cases) {
      assert.throws(
        () => load(value),
        (error) => isLockstepError(error, "config-invalid") && error.details.field === `swap.desk.${field}`,
        field,
      );
    }
  });

  it("is refused with the path of the field at fault", () => {
    const cases: [unknown, string | undefined][] = [
      [{ ...good, extra: true }, "extra"],
      [{ ...good, http: { port: 70_000 } }, "http.port"],
      [{ ...good, http: { port: 1, host: "0.0.0.0" } }, "http.host"],
      [{ ...good, chains: {} }, "chains"],
      [{ ...good, chains: { alpha: { ...chain, gateway: "0x12" } } }, "chains.alpha.gateway"],
      [{ ...good, chains: { alpha: { ...chain, endpoints: ["ftp://x"] } } }, "chains.alpha.endpoints.0"],
      [
        { ...good, chains: { alpha: { ...chain, endpoints: [{ url: "http://x", key: "y" }] } } },
        "chains.alpha.endpoints.0.key",
      ],
      [
        { ...good, chains: { alpha: { ...chain, endpoints: [{ url: "http://x", webSocket: "ws://x/#y" }] } } },
        "chains.alpha.endpoints.0.webSocket",
      ],
      [{ ...good, chains: { alpha: { ...chain, agreement: 2 } } }, "chains.alpha.agreement"],
      [{ ...good, chains: { alpha: { ...chain, endpoints: [...four, `${four[0]}/`] } } }, "chains.alpha.endpoints"],
      [{ ...good, chains: { alpha: { ...chain, endpoints: four, agreement: 2 } } }, "chains.alpha.agreement"],
      [{ ...good, chains: { alpha: { ...chain, finality: { blocks: -1 } } } }, "chains.alpha.finality.blocks"],
      [{ ...good, chains: { alpha: { ...chain, outageSeconds: -1 } } }, "chains.alpha.outageSeconds"],
      [{ ...good, accounts: { alice: { key: `0x${"44".repeat(32)}` } } }, "accounts.alice"],
      ["{", undefined],
    ];
    for (const [value, field] of cases) {
      assert.throws(
        () => load(value),
        (error) => isLockstepError(error, "config-invalid") && error.details.field === field,
        field,
      );
    }
    assert.throws(() => loadConfig(join(folder, "missing.json"), serviceConfigSchema), /cannot be read/);
  });

  it("is refused with all that is wrong at once, and without a word of what is there", () => {
    const secret = `0x${"5ec4e7".repeat(10)}5ec4`;
    const value = {
      ...{ ...good, colour: "red", chians: {}, http: { port: "7600" }, sealingKey: secret },
      chains: { alpha: { ...chain, gateway: undefined, endpoints: [`ftp://user:${secret}@x`] } },
      accounts: { alice: secret },
    };
    assert.throws(
      () => load(value),
      (error) => {
        assert.ok(isLockstepError(error, "config-invalid"));
        const lines = error.message.split("\n");
        const of = (field: string) => lines.find((line) => line.includes(`config.json: ${field}: `)) ?? "";
        assert.equal(lines.length, 7, error.message);
        for (const field of ["colour", "chians"]) assert.match(of(field), /nothing of this name is known/);
        assert.match(of("http.port"), /expected number; got a text of 4 characters$/);
        assert.match(of("chains.alpha.gateway"), /got nothing$/);
        assert.match(of("chains.alpha.endpoints.0"), /URL.*got a text of/);
        for (const field of ["sealingKey", "accounts.alice"]) {
          assert.match(
            of(field),
            /expected .*\{ "file": "…" \} or \{ "variable": "…" \}; got a text of 66 characters$/,
          );
        }
        assert.equal((error.details.fields as string[]).length, 7);
        assert.doesNotMatch(JSON.stringify([error.message, error.details]), /5ec4|red"|7600/);
        return true;
      },
    );
  });

  it("names every key that is not where it should be", async () => {
    const file = join(folder, "junk.key");
    writeFileSync(file, "correct horse");
    await assert.rejects(
      readEach({
        "accounts.a": () => readKey({ file: join(folder, "none") }, "accounts.a"),
        sealingKey: () => readKey({ file }, "sealingKey"),
      }),
      (error) =>
        isLockstepError(error, "config-invalid") &&
        /accounts\.a: .*there is nothing\nsealingKey: .*something else/.test(error.message) &&
        !/horse/.test(error.message),
    );
  });

  it("takes endpoints as URLs or with more about them, and how many have to agree", () => {
    const endpoints = [...four.slice(0, 2), { url: "https://x/key", webSocket: "wss://x/key", maxConcurrent: 4 }];
    const { alpha } = load({ ...good, chains: { alpha: { ...chain, endpoints, agreement: 2 } } }).chains;
    assert.deepEqual([alpha?.endpoints, alpha?.agreement], [endpoints, 2]);
    assert.throws(
      () => load({ ...good, chains: { alpha: { ...chain, endpoints: ["wss://secret"] } } }),
      (error) => isLockstepError(error, "config-invalid") && /URL/.test(error.message) && !/secret/.test(error.message),
    );
  });

  it("reads keys from files, and never shows what was there instead", () => {
    const file = join(folder, "a.key");
    writeFileSync(file, `0x${"ab".repeat(32)}\n`);
    assert.equal(readKey({ file }, "accounts.a").reveal(), `0x${"ab".repeat(32)}`);
    writeFileSync(file, "correct horse battery staple");
    const refusal = (error: unknown) =>
      isLockstepError(error, "config-invalid") && !/horse/.test(error.message) && /accounts\.a/.test(error.message);
    assert.throws(() => readKey({ file }, "accounts.a"), refusal);
    assert.throws(() => readKey({ file: join(folder, "none") }, "accounts.a"), refusal);
    assert.throws(() => readKey({ variable: "LOCKSTEP_TEST_NO_SUCH_VARIABLE" }, "accounts.a"), refusal);
  });

  it("counts finality in seconds, generously for tags", () => {
    assert.equal(finalitySeconds({ finality: { blocks: 2 }, blockSeconds: 12 }), 24n);
    assert.equal(finalitySeconds({ finality: { blocks: 3 }, blockSeconds: 0.25 }), 1n);
    assert.ok(
      finalitySeconds({ finality: "finalized", blockSeconds: 12 }) >
        finalitySeconds({ finality: "safe", blockSeconds: 12 }),
    );
  });
});
