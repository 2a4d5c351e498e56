import assert from "node:assert/strict";
import { it } from "node:test";
import type { Receipt } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentStatus } from "#core/sender/sender.ts";
import { createLegCheck } from "#swap/completeness.ts";
import { swapStream } from "#swap/events.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { claimed, detected, hexOf, lockIds, requested } from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

/** The final block of the chains that are made up here, and the block of the locks that are recorded. */
const final = 40n;
const lockBlock = 10n;

await onDatabase("the comparison of legs with the timelock", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: Parameters<typeof swapWorld>[0]) {
    const world = await swapWorld(database);
    const intents = new Map<string, IntentStatus>();
    const sender = { find: async (_: unknown, id: string) => intents.get(id) };
    /** Other swaps of the same terms. Answers the ids of their source locks, ascending. */
    const add = async (count: number): Promise<Hex[]> => {
      const { data } = requested as Extract<typeof requested, { type: "SwapRequested" }>;
      const appends = Array.from({ length: count }, (_, index) => {
        const hashlock = hashlockOf(`0x${(index + 1).toString(16).padStart(64, "0")}`);
        const named = <T extends typeof data.source>(leg: T) => ({ ...leg, lockId: lockIdOf(leg, hashlock) });
        const event = {
          ...requested,
          data: { ...data, hashlock, source: named(data.source), target: named(data.target) },
        };
        return { stream: swapStream(`other-${index}`), expected: 0, events: [event] };
      });
      await world.db.tx((tx) => world.store.append(tx, appends));
      return appends.map(({ events: [event] }) => event?.data.source.lockId ?? "0x").toSorted();
    };
    return { ...world, intents, add, check: createLegCheck({ ...world, sender }) };
  }
  const missing =
    (words: RegExp, after: bigint) =>
    ({ code, message, details }: LockstepError): true => {
      assert.deepEqual([code, details.swap, details.leg, details.after], ["logs-missing", "1", "source", after]);
      assert.match(message, words);
      return true;
    };

  it(
    "finds nothing where record and chain agree, and asks nothing of what has ended or is not final",
    inWorld(async ({ alpha, append, check }) => {
      alpha.openAtFinal = false;
      assert.equal(await check("alpha", final, 0n), true);
      await append(detected("source"));
      alpha.openAtFinal = true;
      assert.equal(await check("alpha", final, 0n), true);
      alpha.openAtFinal = false;
      assert.equal(await check("alpha", lockBlock - 1n, 0n), true);
      await append(claimed("source"));
      assert.equal(await check("alpha", final, 0n), true);
    }),
  );

  it(
    "misses the end of a lock that is not open any more, from the lock's block on",
    inWorld(async ({ alpha, beta, append, check }) => {
      await append(detected("source"));
      alpha.openAtFinal = false;
      await assert.rejects(check("alpha", final, 0n), missing(/no end is recorded/, lockBlock));
      beta.openAtFinal = false;
      assert.equal(await check("beta", final, 0n), true, "the other leg is compared on its own chain");
    }),
  );

  it(
    "misses a lock that is open and not recorded, from an hour before the request on, as far as blocks can be read",
    inWorld(async ({ alpha, check }) => {
      const requestedAt = BigInt(Math.floor(Date.now() / 1_000));
      const { block } = alpha;
      // A block every five minutes, the final one now: the hour begins at the twelfth before.
      alpha.block = async (at) => {
        const found = await block(at);
        return found && typeof at === "bigint"
          ? { ...found, timestamp: requestedAt - (final - at) * 300n + 5n }
          : found;
      };
      await assert.rejects(check("alpha", final, 0n), missing(/none is recorded/, final - 13n));
      await assert.rejects(check("alpha", final, 35n), missing(/none is recorded/, 35n));
      alpha.block = async (at) => (typeof at === "bigint" ? undefined : block(at));
      await assert.rejects(check("alpha", final, 3n), missing(/none is recorded/, 3n));
    }),
  );

  it(
    "misses a lock that a transaction of its own made in a final block, whether it is still open or not",
    inWorld(async ({ alpha, append, intents, check }) => {
      const start = (step: "lock-source" | "approve-source") =>
        append({ type: "StepStarted", data: { step, attempt: 1, intentId: step } });
      const end = (id: string, blockNumber: bigint, status: "success" | "reverted" = "success") =>
        intents.set(id, { state: "finalized", status, blockNumber, hash: hexOf("7"), gasUsed: 1n });
      alpha.openAtFinal = false;
      await start("approve-source");
      await start("lock-source");
      end("approve-source", 20n);
      for (const late of [() => end("lock-source", final + 1n), () => end("lock-source", 20n, "reverted")]) {
        late();
        assert.equal(await check("alpha", final, 0n), true);
      }
      end("lock-source", 21n);
      assert.equal(
        await check("alpha", final, 0n),
        true,
        "the chain dropped what the sender had seen in a final block",
      );
      alpha.receipt = async () => ({ blockNumber: 21n }) as Receipt;
      await assert.rejects(check("alpha", final, 0n), missing(/was locked in block 21, none is/, 20n));
      await append(detected("source"));
      alpha.openAtFinal = true;
      assert.equal(await check("alpha", final, 0n), true);
    }),
  );

  it(
    "misses it in every look until it turns up, whichever turn it is and whatever cannot be asked",
    inWorld(async ({ alpha, add, check }) => {
      const ids = await add(60);
      const hidden = ids.at(-1) ?? assert.fail();
      let isThere = false;
      alpha.call = async ({ data = "0x" }) => {
        const id = `0x${data.slice(-64)}`;
        if (id === hidden && !isThere) return `0x${"1".padStart(64, "0")}`;
        if (id === ids[0]) throw new LockstepError("chain-unreachable", "it does not answer");
        return hexOf("0");
      };
      const look = () =>
        check("alpha", final, 0n).then(
          () => "agrees",
          ({ code }: LockstepError) => code,
        );
      const { call } = alpha;
      alpha.call = async (request, at) =>
        request.data?.endsWith(ids[0]?.slice(2) ?? "-") ? hexOf("0") : call(request, at);
      const looks: string[] = [];
      while (!looks.includes("logs-missing") && looks.length < 10) looks.push(await look());
      assert.equal(looks.at(-1), "logs-missing");
      alpha.call = call;
      for (let again = 0; again < 6; again++) assert.equal(await look(), "logs-missing");
      isThere = true;
      assert.notEqual(await look(), "logs-missing");
    }),
  );

  it(
    "comes to every leg in turn, and each time to locks that were sent and not seen",
    inWorld(async ({ db, store, alpha, add, check }) => {
      const others = await add(150);
      const asked: string[] = [];
      const seen = new Set<string>();
      alpha.call = async ({ data: call = "0x" }) => {
        asked.push(`0x${call.slice(-64)}`);
        return hexOf("0");
      };
      const started = {
        type: "StepStarted" as const,
        data: { step: "lock-source" as const, attempt: 1, intentId: "a" },
      };
      await db.tx((tx) => store.append(tx, [{ stream: swapStream("1"), expected: 1, events: [started] }]));
      for (let look = 0; look < 8; look++) {
        asked.length = 0;
        await check("alpha", final, 0n);
        assert.ok(asked.includes(lockIds.source) && asked.length <= 88, "the lock under way is among a limited number");
        for (const id of asked) seen.add(id);
      }
      assert.equal(seen.size, others.length + 1);
    }),
  );
});
