import type { Chain, ChainLog } from "#core/chain/chain.ts";
import type { StoredEvent } from "#core/events/store.ts";
import type { IntentGuard, IntentRequest } from "#core/sender/sender.ts";
import type { LegName, SwapEvent } from "#swap/events.ts";
import type { Swap } from "#swap/swap.ts";
import type { ModelChain } from "./modelChain.ts";
import type { Windows } from "./modelContract.ts";
import type { Miscount, Scenario } from "./scenario.ts";

/** Something built wrong on purpose, to see that the simulation finds it. */
export type Flaw = Miscount & {
  guard?(kind: string, guard: IntentGuard, swap: () => Swap): IntentGuard;
  intent?(intent: IntentRequest): IntentRequest;
  /** The contract's own windows. */
  windows?: Windows;
  /** How the service reads a chain. */
  port?(port: Chain, chain: ModelChain, scenario: Scenario): Chain;
  newestIsFinal?: boolean;
  logs?(logs: ChainLog[], leg: LegName, scenario: Scenario): ChainLog[];
  /** What the service makes of what it has stored. */
  view?(events: readonly StoredEvent<SwapEvent>[]): readonly StoredEvent<SwapEvent>[];
  /** What it decides on top, every second. */
  decides?(swap: Swap, scenario: Scenario, now: number): SwapEvent[];
};
