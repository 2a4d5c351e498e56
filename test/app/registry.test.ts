import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { it } from "node:test";
import { encodeFunctionResult, toFunctionSelector, zeroAddress } from "viem";
import { admitAny, admitNew } from "#app/registry/admission.ts";
import { createRegistryChanges } from "#app/registry/changes.ts";
import { checkEndpoints } from "#app/registry/checks.ts";
import { openRegistry } from "#app/registry/registry.ts";
import { registryMigrations } from "#app/registry/tables.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createSameChain } from "#core/chain/sameChain.ts";
import { type ChainConfig, chainConfigSchema } from "#core/config/chains.ts";
import { relayConfigSchema } from "#core/config/relay.ts";
import type { Db } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { createState, indexerMigrations } from "#core/indexer/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { type OpenDatabase, onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const key = "an-endpoint-key";
const someone = (digit: string) => `0x${digit.repeat(40)}` as const;
const chain = (chainId: number, more: object = {}): ChainConfig =>
  chainConfigSchema.parse({
    ...{ chainId, endpoints: [`http://127.0.0.1:1/${chainId}`], finality: { blocks: 0 } },
    ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1, gateway: someone("1"), timelock: someone("2") },
    ...more,
  });
const file = { alpha: chain(1), beta: chain(2) };
const relay = relayConfigSchema.parse({
  account: "relayer",
  validators: [{ name: "one", address: someone("3"), url: "http://127.0.0.1:1" }],
});

/** Chains by id that do not answer. */
const outOfReach = new Set<number>();

/** A chain that has every contract and connects none. */
function connect(name: string, { chainId, endpoints }: ChainConfig): ChainAccess {
  const unknown = { gateway: zeroAddress, maxGasLimit: 0, maxPayload: 0, defaultGasLimit: 0 };
  const isOpen = toFunctionSelector("isOpen(bytes32)");
  const told = {
    ...{ name, chainId, endpoints },
    async verifyIdentity() {
      if (outOfReach.has(chainId)) throw new LockstepError("chain-unreachable", "nobody answers");
    },
    genesis: async () => `0x${"0".repeat(64)}` as const,
    account: async () => ({ balance: 0n, nonce: 0, hasCode: true }),
    call: async ({ data }: { data?: string }) =>
      data?.startsWith(isOpen)
        ? encodeFunctionResult({ abi: hashedTimelockAbi, functionName: "isOpen", result: false })
        : encodeFunctionResult({ abi: gatewayAbi, functionName: "laneConfig", result: unknown }),
  };
  return told as unknown as ChainAccess;
}

const free = { messages: 0, swaps: 0, intents: 0, queued: 0 };

await onDatabase("the registry", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: OpenDatabase) {
    await migrate(database.db, [...indexerMigrations, ...registryMigrations]);
    const sealer = createSealer(redact(randomBytes(32)));
    const used = { ...free };
    const processOn = async (db: Db, chains: Record<string, ChainConfig> = file) => {
      const sameChain = createSameChain({ clock: systemClock, confirm: { looks: 1, ms: 0 } });
      const deps = { db, sealer, connect, sameChain, log: quietLog, clock: systemClock };
      const registry = await openRegistry({ ...deps, config: { chains, relay } });
      const usage = { ofChain: async () => used, ofLane: async () => used };
      const changes = createRegistryChanges({ ...deps, registry, usage });
      const lanes = () => registry.lanes.entries().map(([name]) => name);
      return { db, registry, changes, lanes, settings: (name: string) => registry.chains.get(name)?.settings };
    };
    const one = await processOn(database.db);
    return { one, used, another: (chains?: Record<string, ChainConfig>) => processOn(database.another(), chains) };
  }

  it(
    "asks no endpoint that leads to link-local addresses, where clouds give their credentials away",
    inWorld(async ({ one }) => {
      const { changes } = one;
      const leads = (field: string) => (error: unknown) =>
        isLockstepError(error, "url-refused") && error.details.field === field;
      const fine = "http://127.0.0.1:1/3";
      for (const url of [
        ...["http://169.254.169.254/", "http://2852039166/", "http://[fe80::1]/", "http://[fd00:ec2::254]/latest"],
        ...["http://[::ffff:169.254.1.1]/", "https://169.254.0.1:8545/"],
      ]) {
        await assert.rejects(
          changes.addChain("gamma", chain(3, { endpoints: [fine, url] })),
          leads("endpoints.1"),
          url,
        );
      }
      const told = { url: fine, webSocket: "ws://169.254.169.254/" };
      await assert.rejects(changes.addChain("gamma", chain(3, { endpoints: [told] })), leads("endpoints.0"));
      await assert.rejects(
        changes.changeChain("alpha", { endpoints: ["http://169.254.169.254/"] }),
        leads("endpoints.0"),
      );
      const connected: string[] = [];
      const byName = (address: string) =>
        checkEndpoints(
          (name, settings) => {
            connected.push(address);
            return connect(name, settings);
          },
          "gamma",
          chain(3, { endpoints: ["https://node.example/"] }),
          undefined,
          async () => [
            { address: "8.8.8.8", family: 4 },
            { address, family: 4 },
          ],
        );
      await assert.rejects(byName("169.254.169.254"), leads("endpoints.0"));
      await byName("10.0.0.1");
      assert.deepEqual(connected, ["10.0.0.1"]);
      await changes.addChain("gamma", chain(3));
    }),
  );

  it(
    "tells every process what was said in one, and remembers it",
    inWorld(async ({ one, another }) => {
      const other = await another();
      await other.registry.start();
      const { access } = other.registry.chains.get("alpha")!;
      await one.changes.addChain("gamma", chain(3, { endpoints: [`http://127.0.0.1:1/?key=${key}`] }));
      await one.changes.changeChain("alpha", { endpoints: ["http://127.0.0.1:2/"], pollMs: 77 });
      await one.changes.setLane({ origin: "alpha", destination: "gamma" }, "paused");
      await until(() => other.registry.revision() === 3n, "the other process follows", 4_000);
      await other.registry.stop();
      const third = await another();
      for (const { registry, settings, lanes } of [one, other, third]) {
        assert.deepEqual(settings("alpha")?.endpoints, ["http://127.0.0.1:2/"]);
        assert.deepEqual([settings("alpha")?.pollMs, settings("alpha")?.chainId], [77, 1]);
        assert.equal(registry.chains.get("gamma")?.source, "api");
        assert.equal(lanes().length, 6);
        assert.equal(registry.lanes.get("alpha→gamma")?.state, "paused");
      }
      assert.equal(other.registry.chains.get("alpha")?.access, access, "who holds a chain goes on with it");
      const rows = await one.db.query("SELECT encode(sealed, 'escape') AS text FROM registry_words");
      assert.ok(!JSON.stringify(rows).includes(key) && !JSON.stringify(rows).includes("127.0.0.1"));
    }),
  );

  it(
    "gives a chain back to the file, removed or not, unless it is another one there by now",
    inWorld(async ({ one, another }) => {
      await one.changes.changeChain("beta", { pollMs: 77 });
      await one.changes.removeChain("beta", false);
      assert.deepEqual(one.lanes(), []);
      await one.changes.restoreChain("beta");
      const beta = one.registry.chains.get("beta");
      assert.deepEqual([beta?.state, beta?.source, beta?.settings], ["active", "file", file.beta]);
      assert.deepEqual(one.lanes(), ["alpha→beta", "beta→alpha"]);

      await one.changes.setChain("beta", "paused");
      await one.changes.changeChain("beta", { pollMs: 77 });
      const later = await another({ ...file, beta: chain(2, { logWindow: 5 }) });
      await later.changes.restoreChain("beta");
      assert.equal(later.registry.chains.get("beta")?.state, "active");
      assert.deepEqual([later.settings("beta")?.pollMs, later.settings("beta")?.logWindow], [file.beta.pollMs, 5]);

      await later.changes.removeChain("beta", false);
      const moved = await another({ ...file, beta: chain(2, { gateway: someone("4") }) });
      await assert.rejects(moved.changes.restoreChain("beta"), { code: "setting-fixed" });
      await moved.changes.addChain("gamma", chain(3));
      await assert.rejects(moved.changes.restoreChain("gamma"), { code: "not-found" });
    }),
  );

  it(
    "lets the API's word about a setting win over the file until it is taken back",
    inWorld(async ({ one, another }) => {
      await one.changes.changeChain("alpha", { pollMs: 77 });
      const edited = { ...file, alpha: chain(1, { pollMs: 99, logWindow: 5 }), gamma: chain(3, { pollMs: 1 }) };
      const later = await another(edited);
      assert.deepEqual([later.settings("alpha")?.pollMs, later.settings("alpha")?.logWindow], [77, 5]);
      await later.changes.changeChain("alpha", { pollMs: null });
      assert.equal(later.settings("alpha")?.pollMs, 99);
      await later.changes.removeChain("gamma", false);
      assert.deepEqual((await another(edited)).lanes(), ["alpha→beta", "beta→alpha"]);
      await assert.rejects(later.changes.addChain("gamma", chain(3, { gateway: someone("4") })), {
        code: "setting-fixed",
      });
      await assert.rejects(later.changes.addChain("delta", chain(3)), { code: "chain-exists" });
      await later.changes.addChain("gamma", chain(3, { pollMs: 2 }));
      assert.equal((await another(edited)).settings("gamma")?.pollMs, 2);
    }),
  );

  it(
    "keeps amounts of wei among the settings, of the file and of the API, through every word and a restart",
    inWorld(async ({ another }) => {
      const alpha = chain(1, { feeCeilings: { default: "7" }, balanceAlarms: { relayer: { wei: "8" } } });
      const edited = { alpha, beta: chain(2) };
      const world = await another(edited);
      await world.changes.setChain("alpha", "paused");
      assert.equal(world.registry.chains.get("alpha")?.state, "paused");
      await world.changes.changeChain("beta", { feeCeilings: { default: 9n } });
      await world.changes.changeChain("beta", { pollMs: 77 });
      await world.changes.addChain("gamma", chain(3, { feeCeilings: { default: "10" } }));
      const ceilings = (each: typeof world) =>
        ["alpha", "beta", "gamma"].map((name) => each.settings(name)?.feeCeilings.default);
      for (const each of [world, await another(edited)]) {
        assert.deepEqual(ceilings(each), [7n, 9n, 10n]);
        assert.deepEqual(each.settings("alpha")?.balanceAlarms.relayer, { wei: 8n });
      }
      await world.changes.removeChain("alpha", false);
      await world.changes.addChain("alpha", alpha);
      assert.deepEqual(ceilings(await another(edited)), [7n, 9n, 10n]);
    }),
  );

  it(
    "opens without a chain that was there before and is out of reach, and not without one that never was",
    inWorld(async ({ one, another }) => {
      outOfReach.add(2);
      try {
        await assert.rejects(another(), { code: "chain-unreachable" });
        const genesis = `0x${"0".repeat(64)}` as const;
        const known = [{ number: 0n, hash: genesis, logs: [] }];
        await one.db.tx((tx) => createState(tx, "beta", { genesis, final: 0n, checked: 0n, revision: 1n, known }));
        const later = await another();
        await later.changes.setChain("beta", "paused");
        assert.equal(later.registry.chains.get("beta")?.state, "paused");
      } finally {
        outOfReach.delete(2);
      }
    }),
  );

  it(
    "refuses one chain under two names, which the file can bring about too",
    inWorld(async ({ one, another }) => {
      await assert.rejects(another({ ...file, delta: chain(2) }), { code: "config-invalid" });
      await one.changes.addChain("gamma", chain(3));
      await assert.rejects(another({ ...file, delta: chain(3) }), { code: "config-invalid" });
      assert.equal((await another({ ...file, gamma: chain(3) })).settings("gamma")?.chainId, 3);
    }),
  );

  it(
    "removes nothing that is in use, and passes over messages alone",
    inWorld(async ({ one, used }) => {
      Object.assign(used, { messages: 2, swaps: 1 });
      const details = { messages: 2, swaps: 1, intents: 0, queued: 0, forcible: false };
      for (const force of [false, true]) {
        await assert.rejects(one.changes.removeChain("beta", force), { code: "chain-in-use", details });
      }
      used.swaps = 0;
      await assert.rejects(one.changes.removeChain("beta", false), { code: "chain-in-use" });
      await one.changes.removeChain("beta", true);
      assert.deepEqual([one.lanes(), one.registry.chains.get("beta")?.state], [[], "removed"]);
      await assert.rejects(one.changes.setChain("beta", "active"), { code: "not-found" });
    }),
  );

  it(
    "passes over transactions that a pause holds back, and waits for them without one",
    inWorld(async ({ one, used }) => {
      Object.assign(used, { messages: 1, queued: 1 });
      await assert.rejects(one.changes.removeChain("beta", true), {
        details: { messages: 1, swaps: 0, intents: 1, queued: 0, forcible: false },
      });
      await one.changes.setChain("beta", "paused");
      const details = { messages: 1, swaps: 0, intents: 0, queued: 1, forcible: true };
      await assert.rejects(one.changes.removeChain("beta", false), { code: "chain-in-use", details });
      await one.changes.removeChain("beta", true);
      assert.equal(one.registry.chains.get("beta")?.state, "removed");
    }),
  );

  it(
    "takes nothing new on for what another process has paused or removed",
    inWorld(async ({ one, another }) => {
      const other = await another();
      const admitted = (admit: typeof admitNew) => one.db.tx((tx) => admit(tx, ["alpha", "beta"]));
      await admitted(admitNew);
      await other.changes.setChain("beta", "paused");
      await assert.rejects(admitted(admitNew), { code: "chain-paused" });
      await admitted(admitAny);
      await other.changes.removeChain("beta", false);
      await assert.rejects(admitted(admitAny), { code: "chain-unknown" });
      await assert.rejects(
        one.db.tx((tx) => admitAny(tx, ["nowhere"])),
        { code: "chain-unknown" },
      );
    }),
  );

  it(
    "refuses a change that rests on what somebody else has changed meanwhile",
    inWorld(async ({ one, another }) => {
      const other = await another();
      const both = await Promise.allSettled([
        one.changes.addChain("gamma", chain(3)),
        other.changes.addChain("delta", chain(3)),
      ]);
      const refused = both.flatMap((each) => (each.status === "rejected" ? [each.reason as { code: string }] : []));
      assert.equal(refused.length, 1);
      assert.ok(["conflict", "chain-exists"].includes(refused[0]?.code ?? ""));
    }),
  );
});
