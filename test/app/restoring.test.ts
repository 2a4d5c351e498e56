import assert from "node:assert/strict";
import { it } from "node:test";
import type { ChainEntry } from "#app/registry/registry.ts";
import { createRestoring, type Restoring } from "#app/restoring/restoring.ts";
import { migrations } from "#app/stored.ts";
import { createRestoreHold, type RestoreHold } from "#core/backup/hold.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import type { EventStore } from "#core/events/store.ts";
import { systemClock as clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { alwaysHeld } from "#core/lease/lease.ts";
import { quietLog as log, onDatabase, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const address = `0x${"a1".repeat(20)}` as const;
const keyStore = { names: () => ["alice"], address: () => address };
const nothing = async () => undefined;

/** A chain as far as it is looked at: its newest and final block, and what alice has sent. */
function chainAt(name: string) {
  const state = { final: 20n, latest: 22n, settled: 3, mined: 3, pending: 3, error: undefined as Error | undefined };
  const looked: bigint[] = [];
  const answer = async <T>(value: () => T): Promise<T> => {
    if (state.error) throw state.error;
    return value();
  };
  const access = {
    name,
    block: (at: unknown) => answer(() => ({ number: at === "final" ? state.final : state.latest })),
    account: (_: unknown, at: unknown) => answer(() => ({ nonce: at === undefined ? state.mined : state.settled })),
    pendingNonce: () => answer(() => state.pending),
    transactions: (height: bigint) =>
      answer(() => {
        looked.push(height);
        return [];
      }),
  } as unknown as ChainAccess;
  return { state, looked, entry: { access, settings: { startBlock: 1 } } as unknown as ChainEntry };
}

type Scene = {
  readonly db: PostgresDb;
  readonly hold: RestoreHold;
  readonly alpha: ReturnType<typeof chainAt>;
  readonly beta: ReturnType<typeof chainAt>;
  /** One process that brings it up to date; `taken` says what becomes of a lock without a swap. */
  process(taken?: (lockId: string) => Promise<void>): Restoring;
};

await onDatabase("a service with a restored database", (backend) => {
  async function inScene(work: (scene: Scene) => Promise<void>) {
    await withDatabase(backend, async ({ db }) => {
      await migrate(db, migrations);
      await db.query(
        `INSERT INTO restores (id, backup, taken_at, restored_at, position, resumes_after, stays)
         VALUES ('r', 'b', now(), now(), 0, 1, false)`,
      );
      for (const chain of ["alpha", "beta"]) {
        await db.query("INSERT INTO restore_chains VALUES ('r', $1, 10)", [chain]);
        await db.query(
          "INSERT INTO indexer_checkpoint (chain, genesis, final, revision, checked) VALUES ($1, '0x', 1000, 0, 0)",
          [chain],
        );
        await db.query("INSERT INTO indexer_block (chain, number, hash, logs) VALUES ($1, 1000, '0x', '0x')", [chain]);
      }
      const [alpha, beta] = [chainAt("alpha"), chainAt("beta")];
      const begun: Restoring[] = [];
      const hold = createRestoreHold({ db, clock });
      const process: Scene["process"] = (taken = nothing) => {
        const made = createRestoring({
          ...{ db, hold, keyStore, clock, log, builders: {}, store: {} as EventStore },
          chains: fixed({ alpha: alpha.entry, beta: beta.entry }),
          swaps: {
            markRestored: async () => 0,
            recovery: {
              locks: async () =>
                ["0x01", "0x02"].map((lockId) => ({ chain: "alpha", lockId, watched: false }) as never),
              take: ({ lockId }) => taken(lockId),
              view: nothing,
            },
          },
          lease: alwaysHeld(db).of("restore"),
        });
        begun.push(made);
        return made;
      };
      try {
        await work({ db, hold, alpha, beta, process });
      } finally {
        for (const each of begun) await each.stop();
      }
    });
  }
  const isOver = async ({ hold }: Scene) => (await hold.last())?.endedAt !== undefined;
  const waitsFor = (restoring: Restoring, words: RegExp) =>
    until(async () => words.test((await restoring.reason()) ?? ""));

  it("goes on once all that its accounts did is final and looked through", () =>
    inScene(async (scene) => {
      const { alpha, process } = scene;
      alpha.state.pending = 4;
      const restoring = process();
      await restoring.start();
      await waitsFor(restoring, /1 transactions of alice wait for a block of alpha/);
      alpha.state.mined = 4;
      await waitsFor(restoring, /1 transactions of alice on alpha are not final yet/);
      assert.deepEqual(alpha.looked, []);
      alpha.state.settled = 4;
      await until(() => isOver(scene));
      assert.deepEqual(alpha.looked, [11n, 12n, 13n, 14n, 15n, 16n, 17n, 18n, 19n, 20n]);
    }));

  it("sees that somebody else sends for its accounts, before that is final, and looks once more", () =>
    inScene(async (scene) => {
      const { db, alpha, process } = scene;
      await db.query("UPDATE indexer_checkpoint SET final = 1 WHERE chain = 'alpha'");
      const restoring = process();
      await restoring.start();
      await waitsFor(restoring, /alpha is read up to block/);
      alpha.state.mined = 4;
      alpha.state.pending = 4;
      await db.query("UPDATE indexer_checkpoint SET final = 1000 WHERE chain = 'alpha'");
      await waitsFor(restoring, /are not final yet/);
      assert.equal(await isOver(scene), false);
      Object.assign(alpha.state, { settled: 4, final: 25n });
      await until(() => isOver(scene));
      assert.deepEqual([alpha.looked.at(-1), new Set(alpha.looked).size], [25n, 15]);
    }));

  it("is looked through once more by a process that takes over, from where the other had come to", () =>
    inScene(async (scene) => {
      const { db, alpha, process } = scene;
      await db.query("UPDATE restores SET scanned_at = now()");
      await db.query("UPDATE restore_chains SET height = 18");
      const restoring = process();
      await restoring.start();
      await until(() => isOver(scene));
      assert.deepEqual(alpha.looked, [19n, 20n]);
    }));

  it("is released though a chain does not answer, when an operator says so", () =>
    inScene(async (scene) => {
      const { hold, alpha, beta, process } = scene;
      beta.state.error = new LockstepError("chain-unreachable", "beta does not answer");
      const restoring = process();
      await restoring.start();
      await waitsFor(restoring, /beta does not answer/);
      await hold.release("an operator");
      await until(() => isOver(scene));
      assert.equal(alpha.looked.at(-1), 22n, "what is not final counts, too");
    }));

  it("looks once more before an operator's release of what was to stay as it is", () =>
    inScene(async (scene) => {
      const { db, hold, alpha, process } = scene;
      await db.query("UPDATE restores SET stays = true");
      const restoring = process();
      await restoring.start();
      await waitsFor(restoring, /an operator has to release it/);
      assert.equal(alpha.looked.at(-1), 20n);
      await hold.release("an operator");
      await until(() => isOver(scene));
      assert.equal(alpha.looked.at(-1), 22n);
    }));

  it("tries again whatever is wrong with a chain, and takes every lock that it can", () =>
    inScene(async (scene) => {
      const { alpha, process } = scene;
      alpha.state.error = new LockstepError("chain-replaced", "alpha is another chain");
      const tried: string[] = [];
      const restoring = process(async (lockId) => {
        tried.push(lockId);
        if (lockId === "0x01") throw new LockstepError("not-found", "there is no such lock");
      });
      await restoring.start();
      await waitsFor(restoring, /alpha is another chain/);
      alpha.state.error = undefined;
      await until(() => isOver(scene));
      await until(async () => tried.includes("0x02"), "the other lock is taken", 5_000);
    }));
});
