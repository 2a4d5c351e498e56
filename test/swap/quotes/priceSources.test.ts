import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createFilePrices } from "#swap/quotes/filePrices.ts";
import type { PriceSource, PriceTable } from "#swap/quotes/price.ts";
import { createTablePrices } from "#swap/quotes/tablePrices.ts";
import { quietLog } from "#test/support/databases.ts";

const folder = mkdtempSync(join(tmpdir(), "lockstep-prices-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const start = Date.parse("2026-11-21T18:00:00Z");
const clockAt = (ms: number) => ({
  ms,
  now() {
    return this.ms;
  },
  sleep: async () => undefined,
});

let files = 0;
function fileWorld() {
  const file = join(folder, `prices-${files++}.json`);
  const clock = clockAt(start);
  const write = (prices: unknown, at = new Date(clock.ms).toISOString()) =>
    writeFileSync(file, JSON.stringify({ at, prices }));
  return { file, clock, write, source: createFilePrices({ file, maxAgeSeconds: 60, clock, log: quietLog }) };
}

const adapters: Record<string, (table: PriceTable) => PriceSource> = {
  table: (table) => createTablePrices({ table, clock: clockAt(start) }),
  file(table) {
    const { write, source } = fileWorld();
    write(table);
    return source;
  },
};

const isUnavailable = (asked: Promise<unknown>) =>
  assert.rejects(asked, (error) => isLockstepError(error, "price-unavailable"));

for (const [name, open] of Object.entries(adapters)) {
  describe(`prices from a ${name}`, () => {
    const source = () => open({ "ETH/USD": "2500.25", "BTC/USD": "91234.000000000000000001" });

    it("are exact, and have a time", async () => {
      const at = new Date(start);
      assert.deepEqual(await source().price("ETH", "USD"), { numerator: 250_025n, denominator: 100n, at });
      const { numerator, denominator } = await source().price("BTC", "USD");
      assert.deepEqual([numerator, denominator], [91_234_000_000_000_000_000_001n, 10n ** 18n]);
    });

    it("are there the other way round", async () => {
      const { numerator, denominator } = await source().price("USD", "ETH");
      assert.deepEqual([numerator, denominator], [100n, 250_025n]);
    });

    it("are one to one for one symbol", async () => {
      const { numerator, denominator } = await source().price("USD", "USD");
      assert.equal(numerator, denominator);
    });

    it("are refused where there are none", async () => {
      await isUnavailable(source().price("ETH", "EUR"));
      await isUnavailable(source().price("ETH", "BTC"));
      await isUnavailable(source().price("toString", "USD"));
    });
  });
}

describe("a file of prices", () => {
  const ethOf = async (source: PriceSource) => (await source.price("ETH", "USD")).numerator;

  it("is read again when it was changed in place, and when another took its place", async () => {
    const { file, write, source } = fileWorld();
    write({ "ETH/USD": "2500" });
    assert.equal(await ethOf(source), 2_500n);
    write({ "ETH/USD": "2600" });
    assert.equal(await ethOf(source), 2_600n);
    writeFileSync(`${file}.new`, JSON.stringify({ at: new Date(start).toISOString(), prices: { "ETH/USD": "2700" } }));
    renameSync(`${file}.new`, file);
    assert.equal(await ethOf(source), 2_700n);
  });

  it("counts for its age, to the millisecond, by the time that it names", async () => {
    const { clock, write, source } = fileWorld();
    write({ "ETH/USD": "2500" });
    clock.ms += 59_999;
    assert.equal(await ethOf(source), 2_500n);
    clock.ms += 1;
    await isUnavailable(source.price("ETH", "USD"));
    write({ "ETH/USD": "2400" }, "2026-11-21T19:01:00+01:00");
    assert.equal(await ethOf(source), 2_400n);
  });

  it("does not count for ever because it names a time to come", async () => {
    const { write, source } = fileWorld();
    write({ "ETH/USD": "2500" }, new Date(start + 60_000).toISOString());
    await isUnavailable(source.price("ETH", "USD"));
  });

  it("leaves the last good prices standing while it is written by halves, until those are stale", async () => {
    const { file, clock, write, source } = fileWorld();
    write({ "ETH/USD": "2500" });
    assert.equal(await ethOf(source), 2_500n);
    writeFileSync(file, '{ "at": "2026-11-21T18:00:30Z", "prices": { "ETH/US');
    assert.equal(await ethOf(source), 2_500n);
    clock.ms += 30_000;
    assert.equal(await ethOf(source), 2_500n);
    clock.ms += 30_000;
    await isUnavailable(source.price("ETH", "USD"));
    write({ "ETH/USD": "2550" });
    assert.equal(await ethOf(source), 2_550n);
  });

  it("leaves the last good prices standing while it is not there", async () => {
    const { file, write, source } = fileWorld();
    await isUnavailable(source.price("ETH", "USD"));
    write({ "ETH/USD": "2500" });
    assert.equal(await ethOf(source), 2_500n);
    rmSync(file);
    assert.equal(await ethOf(source), 2_500n);
  });

  it("is not believed with a number, no price, a sign, an exponent or something else in it", async () => {
    for (const price of [2500, 0.1, "0", "0.000", "-1", "1e3", "1,5", ".5", "5.", "", "0x10", "007", "NaN", null]) {
      const { write, source } = fileWorld();
      write({ "ETH/USD": price });
      await isUnavailable(source.price("ETH", "USD"));
    }
    for (const prices of [{ "ETH-USD": "1" }, { ETH: "1" }, "ETH/USD", null]) {
      const { write, source } = fileWorld();
      write(prices);
      await isUnavailable(source.price("ETH", "USD"));
    }
    for (const at of ["yesterday", "2026-11-21T18:00:00", ""]) {
      const { write, source } = fileWorld();
      write({ "ETH/USD": "1" }, at);
      await isUnavailable(source.price("ETH", "USD"));
    }
  });
});
