import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { type OpenDatabase, onDatabase, quietLog, withDatabase } from "../../support/databases.ts";
import { until } from "../../support/until.ts";
import { address, createModelChain, type Turn } from "./modelChain.ts";
import { createHistory, openIndexed, recordedWords } from "./support.ts";

const turnOf: fc.Arbitrary<Turn> = fc.record({
  depth: fc.nat(6),
  blocks: fc.array(fc.nat(2), { minLength: 1, maxLength: 50 }),
  reads: fc.nat(25),
  hides: fc.constantFrom(0, 0, 1, 3),
  answers: fc.integer({ min: 1, max: 4 }),
  partly: fc.boolean(),
  restart: fc.constantFrom(false, false, true),
});
/** The end of every story: so many blocks that whatever was hidden before is final, which is where it must come to light. */
const lastTurn = (finality: number): Turn => ({
  ...{ depth: 0, blocks: [1, ...Array.from({ length: finality }, () => 0)], reads: 5 },
  ...{ hides: 0, answers: 0, partly: false, restart: true },
});

type Story = { readonly turns: readonly Turn[]; readonly logWindow: number; readonly finality: number };

/** Follows a chain through its turns until all is told; throws when the story is not the chain's. */
async function follow(database: OpenDatabase, { turns, logWindow, finality }: Story): Promise<void> {
  const model = createModelChain([...turns, lastTurn(finality)], finality);
  const history = createHistory(() => [address], { late: true, countUpTo: model.countUpTo, db: database.db });
  const config = { pollMs: 1, startBlock: 0, logWindow, recheckMs: 5 };
  const begin = () => {
    const deps = { chain: model.chain, config, db: database.db, observers: [history], log: quietLog };
    const indexer = createIndexer({ ...deps, clock: systemClock });
    indexer.start();
    return indexer;
  };
  let indexer = begin();
  let restarts = 0;
  try {
    await until(async () => {
      if (model.restarts() > restarts) {
        restarts = model.restarts();
        await indexer.stop();
        indexer = begin();
      }
      const { state, indexed, error } = indexer.status();
      if (state === "halted") return true;
      if (!model.done() || indexed !== model.head()?.number || error !== undefined) return false;
      return (await recordedWords(database)).length === model.words().length;
    }, "all is told");
    assert.equal(indexer.status().state, "running");
    assert.deepEqual(history.violations, []);
    assert.deepEqual((await recordedWords(database)).sort(), model.words());
    const { final = -1n } = indexer.status();
    await until(() => final < 0n || indexer.status().verified === final, "what is recorded is compared");
  } finally {
    await indexer.stop();
  }
}

await onDatabase("a chain that reorganises and hides logs, and a service that is restarted", (backend) => {
  it("ends with every log of the chain, each told once, whenever what comes", async () => {
    const stories = fc.record({
      turns: fc.array(turnOf, { minLength: 1, maxLength: 8 }),
      logWindow: fc.integer({ min: 1, max: 21 }),
      finality: fc.constantFrom(0, 1, 6),
    });
    await fc.assert(
      fc.asyncProperty(stories, (story) =>
        withDatabase({ name: backend.name, open: () => openIndexed(backend) }, (database) => follow(database, story)),
      ),
      { numRuns: backend.name === "postgres" ? 15 : 4 },
    );
  });
});
