import type { ChainAccess } from "#core/chain/chain.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import type { Db, Tx } from "#core/db/db.ts";
import { rememberedGenesis } from "#core/indexer/rememberedGenesis.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import { type Lane, type LaneSetting, laneName, type WayOfDelivery } from "#relay";
import { checkConnected, checkContracts, checkEndpoints } from "./checks.ts";
import type { ChainEntry, Registry } from "./registry.ts";
import { fixedSettings } from "./schemas.ts";
import { changedSettings } from "./settings.ts";
import { lockWords, takeChain, writeWord } from "./tables.ts";
import type { Usage, UsageReader } from "./usage.ts";
import { type State, spell, type Word } from "./words.ts";

type Settable = Exclude<State, "removed">;

/**
 * What can be changed while the service runs. Everything is checked against the chains before anything is written, and
 * in force in this process when it resolves. Throws `conflict` when somebody else changed the registry meanwhile.
 */
export type RegistryChanges = {
  /** Throws `chain-exists`, `setting-fixed`, `endpoint-refused`, `url-refused`, `contract-mismatch`, `chain-unreachable`. */
  addChain(name: string, settings: ChainConfig): Promise<void>;
  /** `null` takes back what was said about a setting. Throws as `addChain`, and `not-found`. */
  changeChain(name: string, patch: Readonly<Record<string, unknown>>): Promise<void>;
  setChain(name: string, state: Settable): Promise<void>;
  /**
   * Takes back all that was said about a chain of the configuration file, also that it is removed. Throws as `addChain`,
   * and `not-found` when the file has no such chain.
   */
  restoreChain(name: string): Promise<void>;
  /**
   * Throws `chain-in-use` while something unfinished needs it; `force` passes over messages alone, and over what the
   * pause of the chain keeps from being sent for them.
   */
  removeChain(name: string, force: boolean): Promise<void>;
  /** Throws `chain-unknown`, `lane-exists`, `contract-mismatch`. */
  addLane(lane: Lane & { readonly delivery: WayOfDelivery }): Promise<void>;
  setLane(lane: Lane, state: Settable): Promise<void>;
  /** Throws `lane-in-use` while messages are under way, unless forced: they stay on their chains. */
  removeLane(lane: Lane, force: boolean): Promise<void>;
};

type Deps = {
  db: Db;
  sealer: Sealer;
  registry: Registry;
  connect(name: string, settings: ChainConfig): ChainAccess;
  usage: UsageReader;
};

export function createRegistryChanges({ db, sealer, registry, connect, usage }: Deps): RegistryChanges {
  const all = (): ChainEntry[] => registry.chains.entries().map(([, entry]) => entry);
  const present = () => all().filter(({ state }) => state !== "removed");

  function chainOf(name: string): ChainEntry {
    const found = registry.chains.get(name);
    if (found && found.state !== "removed") return found;
    const known = present().map((each) => each.name);
    throw new LockstepError("not-found", `there is no chain "${name}"; there are ${known.join(", ")}`, {
      details: { field: "name", known },
    });
  }

  function laneOf(lane: Lane): LaneSetting {
    const found = registry.lanes.get(laneName(lane));
    if (found) return found;
    const known = registry.lanes.entries().map(([name]) => name);
    throw new LockstepError("not-found", `there is no lane ${laneName(lane)}`, { details: { known } });
  }

  /** Says it unless something else was said since `basis`, the revision that the checks rest on. */
  async function say(basis: bigint, word: Omit<Word, "revision">, last?: (tx: Tx) => Promise<void>): Promise<void> {
    await db.tx(async (tx) => {
      const newest = await lockWords(tx);
      if (newest !== basis) {
        throw new LockstepError("conflict", "chains or lanes were changed by another request at the same time");
      }
      await last?.(tx);
      await writeWord(tx, sealer, { ...word, revision: newest + 1n });
    });
    await registry.reload();
  }

  async function fresh(): Promise<bigint> {
    await registry.reload();
    return registry.revision();
  }

  /** What was said about a chain so far, to be said on with another state or settings. */
  const saidOf = ({ name, source, state }: ChainEntry): Omit<Word, "revision"> => {
    const settings = registry.wordOf("chain", name)?.settings ?? {};
    return { kind: "chain", name, source, state, settings };
  };

  async function check(name: string, settings: ChainConfig, endpoints: boolean): Promise<void> {
    if (endpoints) await checkEndpoints(connect, name, settings, await rememberedGenesis(db, name));
    const others = present().filter((each) => each.name !== name && each.state === "active");
    await checkContracts(connect(name, settings), settings, others);
  }

  return {
    async addChain(name, settings) {
      const basis = await fresh();
      const known = registry.chains.get(name);
      if (known && known.state !== "removed") {
        throw new LockstepError("chain-exists", `there is a chain "${name}" already`, { details: { field: "name" } });
      }
      assertSame(name, settings, all());
      await check(name, settings, true);
      await say(basis, { kind: "chain", name, source: "api", state: "active", settings: spell(settings) });
    },
    async changeChain(name, patch) {
      const basis = await fresh();
      const entry = chainOf(name);
      const word = saidOf(entry);
      const { said, settings } = changedSettings(entry, word.settings, registry.fileOf(name), patch);
      await check(name, settings, JSON.stringify(settings.endpoints) !== JSON.stringify(entry.settings.endpoints));
      await say(basis, { ...word, settings: said });
    },
    async setChain(name, state) {
      const basis = await fresh();
      const entry = chainOf(name);
      if (entry.state !== state) await say(basis, { ...saidOf(entry), state });
    },
    async restoreChain(name) {
      const basis = await fresh();
      const settings = registry.fileOf(name);
      if (!settings) {
        throw new LockstepError("not-found", `there is no chain "${name}" in the configuration file`, {
          details: { field: "name" },
        });
      }
      assertSame(name, settings, all());
      await check(name, settings, true);
      await say(basis, { kind: "chain", name, source: "file", state: "active", settings: {} });
    },
    async removeChain(name, force) {
      const basis = await fresh();
      const entry = chainOf(name);
      const settings = spell(entry.settings);
      await say(basis, { ...saidOf(entry), settings, state: "removed" }, async (tx) => {
        await takeChain(tx, name);
        const { queued, ...used } = await usage.ofChain(tx, name);
        // A paused chain's sender takes none of them up; what is delivered by them waits as its messages do.
        const [passing, intents] = entry.state === "paused" ? [queued, 0] : [0, queued];
        const both = { ...used, queued: passing, intents: used.intents + intents };
        assertFree("chain-in-use", `chain ${name}`, both, force);
      });
    },
    async addLane(lane) {
      const basis = await fresh();
      const [from, to] = [requireChain(lane, "origin"), requireChain(lane, "destination")];
      const name = laneName(lane);
      if (registry.lanes.get(name)) throw new LockstepError("lane-exists", `the lane ${name} is served already`);
      if (from === to) {
        throw new LockstepError("request-invalid", "destination: a lane leads to another chain", {
          details: { field: "destination" },
        });
      }
      if (lane.delivery === "proof" && to.settings.stateOracle === undefined) {
        throw new LockstepError("contract-mismatch", `delivery: ${to.name} has no state oracle for proofs`, {
          details: { field: "delivery" },
        });
      }
      await checkConnected(from, to);
      const { delivery } = lane;
      await say(basis, { kind: "lane", name, source: "api", state: "active", settings: { delivery } });
    },
    async setLane(lane, state) {
      const basis = await fresh();
      const found = laneOf(lane);
      if (found.state !== state) await say(basis, laneWord(found, state));
    },
    async removeLane(lane, force) {
      const basis = await fresh();
      const found = laneOf(lane);
      await say(basis, laneWord(found, "removed"), async (tx) => {
        assertFree("lane-in-use", `lane ${laneName(lane)}`, await usage.ofLane(tx, lane), force);
      });
    },
  };

  function requireChain(lane: Lane, field: "origin" | "destination"): ChainEntry {
    const found = registry.chains.get(lane[field]);
    if (found && found.state !== "removed") return found;
    const known = present().map((each) => each.name);
    throw new LockstepError("chain-unknown", `there is no chain "${lane[field]}"; there are ${known.join(", ")}`, {
      details: { field, known },
    });
  }
}

const laneWord = (lane: LaneSetting, state: State): Omit<Word, "revision"> => ({
  ...{ kind: "lane", name: laneName(lane), source: lane.source, state, settings: { delivery: lane.delivery } },
});

/**
 * What was recorded of a chain is recorded under its name: no other name may have had the chain, and a chain that had the
 * name before is the same one.
 */
function assertSame(name: string, settings: ChainConfig, all: readonly ChainEntry[]): void {
  const before = all.find((each) => each.name === name);
  const twin = all.find((each) => each.name !== name && each.settings.chainId === settings.chainId);
  if (twin) {
    const words = `chain ${settings.chainId} is ${twin.name}${twin.state === "removed" ? ", which was removed and can come back under that name" : ""}`;
    throw new LockstepError("chain-exists", words, { details: { field: "chainId", name: twin.name } });
  }
  for (const field of before ? fixedSettings : []) {
    if (settings[field] === before?.settings[field]) continue;
    throw new LockstepError("setting-fixed", `${field}: ${name} was here before with ${before?.settings[field]}`, {
      details: { field },
    });
  }
}

function assertFree(code: "chain-in-use" | "lane-in-use", what: string, usage: Usage, force: boolean): void {
  const { messages, swaps, intents, queued } = usage;
  const forcible = swaps === 0 && intents === 0;
  if (forcible && (messages + queued === 0 || force)) return;
  const parts = [
    [messages, "messages without a final outcome"],
    [swaps, "open swaps"],
    [intents, "transactions under way"],
    [queued, "transactions that are not sent while it is paused"],
  ] as const;
  const words = parts.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`);
  throw new LockstepError(code, `the ${what} is needed by ${words.join(", ")}`, {
    details: { messages, swaps, intents, queued, forcible },
  });
}
