import { gatewayAbi } from "#core/abi/gateway.ts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import type { EndpointEvent } from "#core/chain/endpoint.ts";
import { type Observations, presentBounds } from "#core/chain/observations.ts";
import { tracedChain } from "#core/chain/tracedChain.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import { finalitySeconds } from "#core/config/finality.ts";
import type { RelayConfig } from "#core/config/relay.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Live, mapLive } from "#core/kernel/live.ts";
import type { Log } from "#core/observe/log.ts";
import type { Tracing } from "#core/observe/tracing.ts";
import type { SendTarget } from "#core/sender/createSender.ts";
import type { RelayChain } from "#relay";
import type { SwapChain } from "#swap";
import type { ChainEntry } from "./registry/registry.ts";
import { highestFee, sendSettings } from "./sending.ts";

/** What reverts are told by: also those that a gateway passes on from its state oracle. */
export const errorsAbi = [...gatewayAbi, ...hashedTimelockAbi, ...stateOracleAbi];

/** The way to a chain; nothing is asked before it is used. */
export const chainConnector =
  (deps: {
    log: Log;
    clock: Clock;
    onEndpointEvent(event: EndpointEvent): void;
    onHeadOffset: Observations["headArrived"];
    tracing?: Tracing | undefined;
  }) =>
  (name: string, settings: ChainConfig): ChainAccess => {
    const chain = createChain({ name, ...settings }, { ...deps, errorsAbi });
    return deps.tracing ? tracedChain(chain, deps.tracing) : chain;
  };

/** The chains as each part of the service wants them. */
export type ChainViews = {
  /** Those that are there: removed ones are only known. */
  readonly present: Live<ChainEntry>;
  readonly relay: Live<RelayChain>;
  readonly swap: Live<SwapChain>;
  readonly sender: Live<SendTarget>;
};

export function viewChains(
  chains: Live<ChainEntry>,
  relay: Pick<RelayConfig, "account" | "accounts">,
  observations: Pick<Observations, "of">,
): ChainViews {
  const present = mapLive(chains, (entry) => (entry.state === "removed" ? undefined : entry));
  const settings = keptFor(sendSettings(relay));
  return {
    present,
    relay: mapLive(present, ({ access, settings: { gateway, stateOracle }, state }) => ({
      ...{ chain: access, gateway, stateOracle, prove: access.prove, paused: state === "paused" },
    })),
    swap: mapLive(chains, ({ name, access, settings: { timelock, ...rest }, state }) => ({
      ...{ chain: access, timelockContract: timelock, timing: timingOf(rest), idles: rest.idles, state },
      presentTiming: () => timingOf({ ...rest, ...presentBounds(rest, observations.of(name)) }),
      highestFee: (kind, effect) => highestFee(rest, kind, effect),
    })),
    sender: mapLive(present, (entry) => {
      const isPaused = () => chains.get(entry.name)?.state === "paused";
      const holds = (kind: string) => !goesOnWhilePaused(kind) && isPaused();
      const inclusionMs = () => 1_000 * presentBounds(entry.settings, observations.of(entry.name)).inclusionSeconds;
      return { chain: entry.access, settings: settings(entry.settings, { holds, inclusionMs }) };
    }),
  };
}

/** Nothing irreversible is cut when a chain is paused: claims, refunds, and what the sender needs for its nonces. */
const goesOnWhilePaused = (kind: string) => /^(swap\.(claim|refund)-|watch\.|sender\.)/.test(kind);

/** The same answer for the same settings, so that a sender is replaced only when they change. */
function keptFor<K extends object, A extends readonly unknown[], V>(make: (key: K, ...rest: A) => V) {
  const kept = new WeakMap<K, V>();
  return (key: K, ...rest: A): V => {
    const value = kept.get(key) ?? make(key, ...rest);
    kept.set(key, value);
    return value;
  };
}

function timingOf(settings: Omit<ChainConfig, "timelock">): SwapChain["timing"] {
  const seconds = (value: number) => BigInt(Math.ceil(value));
  return {
    finality: finalitySeconds(settings),
    inclusion: seconds(settings.inclusionSeconds),
    outage: seconds(settings.outageSeconds),
    skew: seconds(settings.skewSeconds),
  };
}
