import type { ChainAccess } from "#core/chain/chain.ts";
import { type ChainHandle, createChainHandle } from "#core/chain/handle.ts";
import type { SameChain } from "#core/chain/sameChain.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Db } from "#core/db/db.ts";
import { rememberedGenesis } from "#core/indexer/rememberedGenesis.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isRetryable } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { createLive, type Live } from "#core/kernel/live.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { LaneSetting } from "#relay";
import type { Part } from "../lifecycle.ts";
import { noteChains, readWords, registryChannel } from "./tables.ts";
import { type ChainSetting, mergeChains, mergeLanes, type Word } from "./words.ts";

/** A chain with the way to it, which stays the same while its settings change. */
export type ChainEntry = ChainSetting & { readonly access: ChainAccess };

/**
 * The chains and lanes as file and API have them now. Every process has its own; what is said through the API of one
 * reaches the others by a notification, or by a look every few seconds should that be lost.
 */
export type Registry = Part & {
  /** Removed ones included. */
  readonly chains: Live<ChainEntry>;
  readonly lanes: Live<LaneSetting>;
  /** The newest word that `chains` and `lanes` rest on. */
  revision(): bigint;
  /** What the API said about a chain or lane; undefined when it said nothing. */
  wordOf(kind: Word["kind"], name: string): Word | undefined;
  /** A chain as the configuration file has it. */
  fileOf(name: string): ChainConfig | undefined;
  /** Reads anew; resolves when everybody in this process has been told. */
  reload(): Promise<void>;
};

type Deps = {
  config: Pick<ServiceConfig, "chains" | "relay">;
  db: Db;
  sealer: Sealer;
  connect(name: string, settings: ChainConfig): ChainAccess;
  sameChain: SameChain;
  log: Log;
  clock: Clock;
};

const lookEveryMs = 5_000;

/**
 * Reads the registry and checks that every chain is the one it was. One that is paused, or that was there before, may be
 * out of reach, or it would keep the others from being served: whatever is asked of it later is checked then. Throws
 * `config-invalid`, `chain-id-mismatch`, `chain-replaced`, and `chain-unreachable` for a chain that was never seen.
 */
export async function openRegistry(deps: Deps): Promise<Registry> {
  const { config, db, log, sameChain } = deps;
  await noteChains(db, Object.keys(config.chains));
  const registry = createRegistry(deps);
  await registry.reload();
  const active = registry.chains.entries().filter(([, { state }]) => state === "active");
  await Promise.all(active.map(([, { access }]) => assertSameChain(access, { db, log, sameChain })));
  return registry;
}

async function assertSameChain(
  chain: ChainAccess,
  { db, log, sameChain }: Pick<Deps, "db" | "log" | "sameChain">,
): Promise<void> {
  const known = await rememberedGenesis(db, chain.name);
  try {
    await chain.verifyIdentity();
    if (known !== undefined) await sameChain.decide(chain, known);
  } catch (error) {
    if (known === undefined || !isRetryable(error)) throw error;
    log.warn({ err: error, chain: chain.name }, "chain is out of reach, going on without it");
  }
}

function createRegistry({ config, db, sealer, connect, clock, ...deps }: Deps): Registry {
  const log = deps.log.child({ module: "registry" });
  const chains = createLive<ChainEntry>();
  const lanes = createLive<LaneSetting>();
  const handles = new Map<string, ChainHandle>();
  let words: readonly Word[] = [];
  let loop: Loop | undefined;
  let unlisten: (() => Promise<void>) | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  async function apply(): Promise<void> {
    const read = await readWords(db, sealer);
    if (chains.entries().length > 0 && newest(read) === newest(words)) return;
    const merged = mergeChains(config.chains, read);
    const nextLanes = mergeLanes(config.relay.lanes, merged, read);
    const nextChains = new Map([...merged].map(([name, setting]) => [name, entryOf(setting)]));
    words = read;
    chains.set(nextChains);
    lanes.set(new Map([...nextLanes].map(([name, lane]) => [name, unlessEqual(lanes.get(name), lane)])));
    log.info({ revision: newest(read), chains: chains.entries().length, lanes: nextLanes.size }, "registry read");
  }

  function entryOf(setting: ChainSetting): ChainEntry {
    const { name, settings } = setting;
    const before = chains.get(name);
    const same = before !== undefined && toJson(before.settings) === toJson(settings);
    if (same && before.state === setting.state && before.revision === setting.revision) return before;
    return { ...setting, settings: same ? before.settings : settings, access: accessTo(name, settings, same) };
  }

  function accessTo(name: string, settings: ChainConfig, same: boolean): ChainAccess {
    const known = handles.get(name);
    if (known && same) return known.access;
    const next = connect(name, settings);
    if (known) known.replace(next);
    const handle = known ?? createChainHandle(next);
    handles.set(name, handle);
    return handle.access;
  }

  const reload = (): Promise<void> => {
    const done = tail.then(apply);
    tail = done.catch(() => undefined);
    return done;
  };

  return {
    ...{ chains, lanes, reload },
    revision: () => newest(words),
    fileOf: (name) => (Object.hasOwn(config.chains, name) ? config.chains[name] : undefined),
    wordOf: (kind, name) => words.find((word) => word.kind === kind && word.name === name),
    async start() {
      loop ??= startLoop({
        async step() {
          await reload().catch((error: unknown) => {
            // What this process knows stays in force, and the next look may find something that it understands.
            if (isRetryable(error)) throw error;
            log.error({ err: error }, "what the API says about chains and lanes cannot be followed");
          });
          return "idle";
        },
        clock,
        idleMs: lookEveryMs,
        onError: (error, { failures }) => log.warn({ err: error, failures }, "registry could not be read"),
      });
      unlisten ??= await db.listen(registryChannel, () => loop?.wake());
    },
    async stop() {
      await unlisten?.();
      unlisten = undefined;
      await loop?.stop();
      loop = undefined;
    },
  };
}

const newest = (words: readonly Word[]): bigint =>
  words.reduce((most, { revision }) => (revision > most ? revision : most), 0n);

function unlessEqual(before: LaneSetting | undefined, now: LaneSetting): LaneSetting {
  const same = before?.state === now.state && before.revision === now.revision && before.source === now.source;
  return same ? before : now;
}
