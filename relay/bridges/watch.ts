import { encodeFunctionData } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { KeyStore } from "#core/chain/keys.ts";
import type { RelayConfig } from "#core/config/relay.ts";
import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import { createGatewayReader } from "../gateway.ts";
import { failureSeen, pauseKind } from "../intents.ts";
import type { RelayChain } from "../lane.ts";
import { nextAttempt } from "../ramp.ts";
import { type Bridge, readBacking } from "./backing.ts";
import { isBacked, saveBridgeState } from "./states.ts";

type Watched = RelayConfig["bridges"][number];

/** Compares what bridges have minted with what they hold, and pauses the lanes of one that has minted more. */
export type BridgeWatch = { start(): void; stop(): Promise<void> };

/** What a bridge's transactions are for; they are numbered on from those that are found. */
const bridgeSubject = (name: string): string => `bridge-${name}`;
/** One word of storage, one event, the check of the role. */
const pauseGas = 150_000n;

/** Milliseconds before the next attempt; a bridge is never given up. */
function restOf(attempts: number): number {
  const next = nextAttempt("delivery-failed", attempts);
  return next === "dead" ? 7_200_000 : next.delayMs;
}

/** Throws `config-invalid` when a bridge names an account that is not there; chains may come later. */
export function createBridgeWatch(deps: {
  db: Db;
  sender: Sender;
  keyStore: Pick<KeyStore, "names">;
  chains: Live<RelayChain>;
  bridges: readonly Watched[];
  lookMs: number;
  clock: Clock;
  log: Log;
}): BridgeWatch {
  const { db, sender, chains, bridges, clock } = deps;
  const log = deps.log.child({ module: "bridges" });
  /** The attempt to pause that comes next, and from when on; begins anew with the process, which finds it again. */
  const tried = new Map<string, { readonly attempt: number; readonly dueAt: number }>();
  let loop: Loop | undefined;
  for (const { name, guardianAccount: account } of bridges) {
    if (account === undefined || deps.keyStore.names().includes(account)) continue;
    const message = `relay.bridges: there is no managed account "${account}" to guard the bridge ${name}`;
    throw new LockstepError("config-invalid", message, { details: { field: "relay.bridges" } });
  }

  /** Undefined while one of its chains is not served. */
  function bridgeOf({ name, home, remote }: Watched): Bridge | undefined {
    const [homeChain, remoteChain] = [chains.get(home.chain), chains.get(remote.chain)];
    if (!homeChain || !remoteChain) return undefined;
    return { name, home: { ...home, at: homeChain }, remote: { ...remote, at: remoteChain } };
  }

  async function look(watched: Watched): Promise<void> {
    const bridge = bridgeOf(watched);
    const backing = bridge && (await readBacking(bridge));
    if (!bridge || !backing) return;
    await saveBridgeState(db, { name: watched.name, at: new Date(clock.now()), ...backing });
    if (isBacked(backing)) return;
    log.error({ bridge: watched.name, ...backing }, "a bridge has minted more than it holds");
    if (watched.guardianAccount === undefined) return;
    await pause(watched, bridge.home.at, bridge.remote.at, watched.guardianAccount);
    await pause(watched, bridge.remote.at, bridge.home.at, watched.guardianAccount);
  }

  /** Pauses at one chain what comes from and goes to the other; where it is not paused, and no transaction is under way. */
  async function pause({ name }: Watched, at: RelayChain, other: RelayChain, account: string): Promise<void> {
    if (await createGatewayReader(at).isPaused(other.chain.chainId)) return;
    const key = `bridge-${name}-pause-${at.chain.name}`;
    const before = tried.get(key);
    let { attempt, dueAt } = before ?? { attempt: 1, dueAt: 0 };
    for (; ; attempt++) {
      const status = await sender.find(db, `${key}-${attempt}`);
      if (!status) break;
      const failure = failureSeen(status);
      if (!failure && status.state !== "finalized" && status.state !== "included") return;
      // One that succeeded was taken back, and is made again at once; one that failed would fail again.
      if (before && failure) dueAt = clock.now() + restOf(attempt);
    }
    tried.set(key, { attempt, dueAt });
    if (clock.now() < dueAt) return;
    const args = [BigInt(other.chain.chainId)] as const;
    const data = encodeFunctionData({ abi: gatewayAbi, functionName: "pause", args });
    const what = { kind: pauseKind, subject: bridgeSubject(name), call: { to: at.gateway, data, value: 0n } };
    const intent = { ...what, id: `${key}-${attempt}`, chain: at.chain.name, account, gas: pauseGas, dryRun: true };
    await db.tx((tx) => sender.submit(tx, [intent]));
  }

  const step = async () => {
    for (const watched of bridges) {
      try {
        await look(watched);
      } catch (error) {
        // Of one bridge: the others are looked at all the same.
        log.warn({ err: error, bridge: watched.name }, "a bridge cannot be looked at");
      }
    }
    return "idle" as const;
  };

  return {
    start() {
      if (bridges.length === 0) return;
      loop ??= startLoop({
        ...{ step, clock, idleMs: deps.lookMs },
        onError: (error) => log.warn({ err: error }, "looking at bridges failed"),
      });
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
    },
  };
}
