import type { RelayConfig } from "#core/config/relay.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Lane, laneName } from "./lane.ts";

/** What the relayer does not do although it could. */
export type Policy = {
  deniesLane(lane: Lane): boolean;
  /** Why a message is not executed, in words; undefined when it is. */
  denial(message: { readonly sender: Hex; readonly recipient: Hex }): string | undefined;
  /** False when `denial` never answers anything, so that nothing has to be read for it. */
  readonly deniesMessages: boolean;
  /** Managed account that may defer messages. */
  readonly operatorAccount: string | undefined;
  /** Wei a gas above which nothing is sent to a chain. */
  gasPriceLimit(chain: string): bigint | undefined;
  /** What a batch must have paid above its cost, in percent of that; undefined to not look. */
  readonly minProfitPercent: number | undefined;
};

/** Throws `config-invalid` when it names an account that is not there; chains may come later. */
export function createPolicy(config: RelayConfig["policy"], accounts: readonly string[]): Policy {
  const { operatorAccount } = config;
  if (operatorAccount !== undefined && !accounts.includes(operatorAccount)) {
    const field = "relay.policy.operatorAccount";
    const message = `${field}: there is no managed account "${operatorAccount}"`;
    throw new LockstepError("config-invalid", message, { details: { field } });
  }
  const denied = new Set(config.denyLanes.map(laneName));
  const [senders, recipients] = [new Set(config.denySenders), new Set(config.denyRecipients)];
  const allowed = new Set(config.allowSenders);
  return {
    deniesLane: (lane) => denied.has(laneName(lane)),
    denial({ sender, recipient }) {
      if (senders.has(sender)) return `its sender ${sender} is denied`;
      if (recipients.has(recipient)) return `its recipient ${recipient} is denied`;
      return allowed.size > 0 && !allowed.has(sender) ? `its sender ${sender} is not among those allowed` : undefined;
    },
    deniesMessages: senders.size + recipients.size + allowed.size > 0,
    operatorAccount,
    gasPriceLimit: (chain) => config.maxGasPrice[chain],
    minProfitPercent: config.minProfitPercent,
  };
}
