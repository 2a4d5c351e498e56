import { zeroAddress, zeroHash } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db, Queryable, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { tokenBalance } from "./assets.ts";
import type { Brakes } from "./brakes/brakes.ts";
import { exposureOf } from "./brakes/scope.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import { defaultTimelocks, type Timelocks, unsafeTimelock } from "./deadlines.ts";
import type { LegName, LegTerms, Party } from "./events.ts";
import { lockIdOf } from "./legCalls.ts";
import { addressOn, claimerOf, lockerOf, managed, type PartyName } from "./parties.ts";
import { createRequestWriter, requireLeft, type Want } from "./requestWriter.ts";
import { lockingGas, type Reserves } from "./reserves.ts";
import type { SwapRequest } from "./schemas.ts";
import type { SecretStore } from "./secrets.ts";

type Deps = {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  keyStore: KeyStore;
  secrets: SecretStore;
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  /** The managed account that pays for two external parties, where the operator's policy takes both legs. */
  operatorPays?(legs: Readonly<Record<LegName, LegTerms>>): Promise<string | undefined>;
  /** Throws `halted`. */
  brakes: Pick<Brakes, "admit">;
  /** Locks may wait for somebody's approval. */
  asksApproval: boolean;
  reserves: Pick<Reserves, "closing" | "kept">;
  /** Seconds that external parties are given to act, where timelocks are chosen for them. */
  handoverSeconds: bigint;
};

type Parties = Readonly<Record<PartyName, Party>>;
const legNames = ["source", "target"] as const;

/** A request with all its terms, and the last word of the desk where that is the counterparty. */
export type SettledRequest = {
  readonly body: SwapRequest;
  readonly deal?: {
    /** What names the quote that the terms are from. */
    readonly quote?: string;
    /** Throws when the desk does not take the swap. `taker`: the initiator's address on the source chain. */
    admit(tx: Tx, swap: { readonly id: string; readonly taker: Hex }): Promise<void>;
  };
};

/** Writes the swap under the id. */
export type SwapRequester = { request(settled: SettledRequest, id: string): Promise<void> };

/**
 * Checks a request for a swap against configuration and chains, and writes it. Nothing is written when it is refused;
 * every refusal names the field.
 */
export function createSwapRequester(deps: Deps): SwapRequester {
  const { chains } = deps;
  const write = createRequestWriter(deps);

  function party(body: SwapRequest, name: PartyName): Party {
    const asked = body[name];
    if (!("account" in asked)) return asked;
    const { account } = asked;
    try {
      return { account, address: deps.keyStore.address(account) };
    } catch (error) {
      if (!isLockstepError(error, "account-unknown")) throw error;
      const known = deps.keyStore.names();
      throw new LockstepError(
        "account-unknown",
        `there is no managed account "${account}"; there are ${known.join(", ")}`,
        {
          details: { field: `${name}.account`, known },
        },
      );
    }
  }

  async function chooseTimelocks(body: SwapRequest, handover: bigint): Promise<Timelocks> {
    const timing = chains.timing(body.source.chain, body.target.chain);
    const now = await chains.progressTime(body.source.chain, body.target.chain);
    if (!body.timelocks) return defaultTimelocks(timing, now, handover);
    const { source, target } = body.timelocks;
    const timelocks = { source: now + BigInt(source), target: now + BigInt(target) };
    const unsafe = unsafeTimelock(timing, timelocks, now);
    if (!unsafe) return timelocks;
    const least = unsafe.least - now;
    throw new LockstepError(
      "timelocks-unsafe",
      `timelocks.${unsafe.leg} is ${unsafe.given - now} seconds; finality, inclusion and reaction times need at least ${least}`,
      { details: { field: `timelocks.${unsafe.leg}`, given: unsafe.given - now, least } },
    );
  }

  return {
    async request({ body, deal }, id) {
      const legs = {
        source: chains.get(body.source.chain, "source.chain"),
        target: chains.get(body.target.chain, "target.chain"),
      };
      if (body.source.chain === body.target.chain)
        throw refused("target.chain", "the two legs are on different chains");
      for (const leg of legNames) requireOpen(legs[leg], `${leg}.chain`);
      const parties = { initiator: party(body, "initiator"), counterparty: party(body, "counterparty") };
      requireApart(parties, legs);
      requireHashlock(body);
      const wants = (
        await Promise.all(legNames.map((leg) => wantsOf(deps.reserves, legs[leg], body, leg, parties)))
      ).flat();
      for (const want of wants) requireLeft(want, 0n);
      const external = legNames.some((leg) => managed(parties[lockerOf(leg)]) === undefined);
      const timelocks = await chooseTimelocks(body, external || deps.asksApproval ? deps.handoverSeconds : 0n);
      const termsUnder = (hashlock: Hex) => ({
        source: termsOf(body, "source", legs.source, { timelocks, hashlock, parties }),
        target: termsOf(body, "target", legs.target, { timelocks, hashlock, parties }),
      });
      const quote = deal?.quote;
      const terms = termsUnder(zeroHash);
      const payer = await payerOf(parties, () => deps.operatorPays?.(terms));
      await deps.brakes.admit(exposureOf({ ...parties, ...(payer !== undefined && { payer }), terms }));
      await write({
        ...{ id, wants, chains: [body.source.chain, body.target.chain], hashlock: body.hashlock },
        event: (hashlock) => ({
          ...{ hashlock, ...parties, ...(payer !== undefined && { payer }), ...(quote !== undefined && { quote }) },
          ...termsUnder(hashlock),
        }),
        ...(deal && { admit: (tx: Tx) => deal.admit(tx, { id, taker: addressOn(parties.initiator, "source") }) }),
      });
    },
  };
}

/** Who sends what is anyone's to send for a party that is external: the managed one, else the operator's account. */
async function payerOf(
  { initiator, counterparty }: Parties,
  operator: () => Promise<string | undefined> | undefined,
): Promise<string | undefined> {
  const [one, other] = [managed(counterparty), managed(initiator)];
  if (one !== undefined && other !== undefined) return undefined;
  return one ?? other ?? operator();
}

/** On each chain the parties are two, and neither is the contract that holds the locks. */
function requireApart(parties: Parties, legs: Readonly<Record<LegName, SwapChain>>): void {
  for (const leg of legNames) {
    const initiator = addressOn(parties.initiator, leg);
    const counterparty = addressOn(parties.counterparty, leg);
    const fieldOf = (name: PartyName) => `${name}.${"account" in parties[name] ? "account" : leg}`;
    if (initiator === counterparty) throw refused(fieldOf("counterparty"), "the two parties are different accounts");
    for (const name of ["initiator", "counterparty"] as const) {
      const address = addressOn(parties[name], leg);
      if (address !== zeroAddress && address !== legs[leg].timelockContract) continue;
      throw refused(fieldOf(name), "expected an account that can be paid");
    }
  }
}

function requireHashlock({ initiator, hashlock }: SwapRequest): void {
  const isManaged = "account" in initiator;
  if (isManaged && hashlock !== undefined)
    throw refused("hashlock", "the secret of a managed initiator is made by the service");
  if (!isManaged && hashlock === undefined)
    throw refused("hashlock", "an external initiator names the SHA-256 of its 32-byte secret");
}

function requireOpen({ chain, state }: SwapChain, field: string): void {
  if (state !== "paused") return;
  throw new LockstepError("chain-paused", `${field}: the chain ${chain.name} is paused`, { details: { field } });
}

const refused = (field: string, message: string) =>
  new LockstepError("request-invalid", `${field}: ${message}`, { details: { field } });

function termsOf(
  body: SwapRequest,
  leg: LegName,
  at: SwapChain,
  { timelocks, hashlock, parties }: { timelocks: Timelocks; hashlock: Hex; parties: Parties },
): LegTerms {
  const { chain, asset, amount, tip = 0n } = body[leg];
  const unnamed = {
    ...{ chain, chainId: at.chain.chainId, timelockContract: at.timelockContract, asset, amount, tip },
    sender: addressOn(parties[lockerOf(leg)], leg),
    recipient: addressOn(parties[claimerOf(leg)], leg),
    timelock: timelocks[leg],
  };
  return { ...unnamed, lockId: lockIdOf(unnamed, hashlock) };
}

/** A managed locker holds the amount and the tip, and managed parties coin for gas on this chain, of all their swaps. */
async function wantsOf(
  reserves: Deps["reserves"],
  at: SwapChain,
  body: SwapRequest,
  leg: LegName,
  parties: Parties,
): Promise<Want[]> {
  const { chain } = at;
  const { asset, amount, tip = 0n } = body[leg];
  const locker = parties[lockerOf(leg)];
  const claimer = parties[claimerOf(leg)];
  const field = `${leg}.amount`;
  const token = asset.type === "native" ? undefined : asset;
  const asOf = (await chain.block("latest"))?.number ?? 0n;
  const holder = { holder: addressOn(locker, leg), at: asOf };
  const [held, fees] = await Promise.all([
    token && tokenBalance(chain, token, holder, `${leg}.asset.address`),
    chain.fees(),
  ]);
  const { maxFeePerGas } = fees;
  const closing = (claims: boolean) => reserves.closing({ at, maxFeePerGas }, { leg, claims, asset, amount });
  const coin = async (party: Party, wanted: { field: string; needed: bigint }): Promise<Want[]> => {
    const name = managed(party);
    if (name === undefined) return [];
    const account = addressOn(party, leg);
    const { balance } = await chain.account(account, asOf);
    const kept = (from: Queryable) => reserves.kept(from, { at, account: name, maxFeePerGas });
    return [{ chain: chain.name, asset: { type: "native" }, account, asOf, held: balance, kept, ...wanted }];
  };
  const locking = lockingGas(asset) * maxFeePerGas + tip + (token ? 0n : amount);
  const coins = await Promise.all([
    coin(locker, { field, needed: locking + closing(false) }),
    coin(claimer, { field: `${leg}.chain`, needed: closing(true) }),
  ]);
  return [
    ...coins.flat(),
    ...(token && held !== undefined && managed(locker) !== undefined
      ? [{ chain: chain.name, field, account: addressOn(locker, leg), asset: token, asOf, held, needed: amount }]
      : []),
  ];
}
