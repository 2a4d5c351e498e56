import { zeroAddress, zeroHash } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db, Queryable, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
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
import { requireLeft, type Want } from "./promiseBook.ts";
import { createReadings, type Read } from "./readings.ts";
import { createRequestWriter } from "./requestWriter.ts";
import { lockingGas, type Reserves } from "./reserves.ts";
import type { SwapRequest } from "./schemas.ts";
import type { SecretStore } from "./secrets.ts";

type Deps = {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  keyStore: KeyStore;
  secrets: SecretStore;
  clock: Clock;
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
  const withReadings = createReadings(deps);

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

  async function chooseTimelocks(body: SwapRequest, handover: bigint, read: Read): Promise<Timelocks> {
    const timing = chains.timing(body.source.chain, body.target.chain);
    const headOf = async ({ chain }: SwapChain) => (await read(chain)).head;
    const now = await chains.progressTime(body.source.chain, body.target.chain, headOf);
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

  async function request({ body, deal }: SettledRequest, id: string, read: Read): Promise<void> {
    const legs = {
      source: chains.get(body.source.chain, "source.chain"),
      target: chains.get(body.target.chain, "target.chain"),
    };
    if (body.source.chain === body.target.chain) throw refused("target.chain", "the two legs are on different chains");
    for (const leg of legNames) requireOpen(legs[leg], `${leg}.chain`);
    const parties = { initiator: party(body, "initiator"), counterparty: party(body, "counterparty") };
    requireApart(parties, legs);
    requireHashlock(body);
    const needs = await Promise.all(
      legNames.map((leg) => needsOf({ reserves: deps.reserves, read }, legs[leg], body, leg, parties)),
    );
    const wants = needs.flatMap((each) => each.wants);
    for (const want of wants) requireLeft(want, 0n);
    const external = legNames.some((leg) => managed(parties[lockerOf(leg)]) === undefined);
    const timelocks = await chooseTimelocks(body, external || deps.asksApproval ? deps.handoverSeconds : 0n, read);
    const termsUnder = (hashlock: Hex) => ({
      source: termsOf(body, "source", legs.source, { timelocks, hashlock, parties }),
      target: termsOf(body, "target", legs.target, { timelocks, hashlock, parties }),
    });
    const quote = deal?.quote;
    const terms = termsUnder(zeroHash);
    const payer = await payerOf(parties, () => deps.operatorPays?.(terms));
    const payerGas = needs.flatMap(({ chain, gasForOthers: needed }) =>
      payer === undefined ? [] : [{ chain, account: deps.keyStore.address(payer), needed }],
    );
    await deps.brakes.admit(exposureOf({ ...parties, ...(payer !== undefined && { payer }), terms }));
    await write({
      ...{ id, wants, payerGas, chains: [body.source.chain, body.target.chain], hashlock: body.hashlock },
      event: (hashlock) => ({
        ...{ hashlock, ...parties, ...(payer !== undefined && { payer }), ...(quote !== undefined && { quote }) },
        ...termsUnder(hashlock),
      }),
      ...(deal && { admit: (tx: Tx) => deal.admit(tx, { id, taker: addressOn(parties.initiator, "source") }) }),
    });
  }

  return { request: (settled, id) => withReadings((read) => request(settled, id, read)) };
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

/** What is needed on the chain of a leg; `gasForOthers`: wei of whoever pays for its external parties. */
type LegNeeds = { readonly chain: string; readonly wants: readonly Want[]; readonly gasForOthers: bigint };

/** A managed locker holds the amount and the tip, and managed parties coin for gas on this chain, of all their swaps. */
async function needsOf(
  { reserves, read }: { reserves: Deps["reserves"]; read: Read },
  at: SwapChain,
  body: SwapRequest,
  leg: LegName,
  parties: Parties,
): Promise<LegNeeds> {
  const { chain } = at;
  const { asset, amount, tip = 0n } = body[leg];
  const locker = parties[lockerOf(leg)];
  const claimer = parties[claimerOf(leg)];
  const field = `${leg}.amount`;
  const token = asset.type === "native" ? undefined : asset;
  const { head, maxFeePerGas, coin: coinOf } = await read(chain);
  const asOf = head?.number ?? 0n;
  const holder = { holder: addressOn(locker, leg), at: asOf };
  const held = token && (await tokenBalance(chain, token, holder, `${leg}.asset.address`));
  const closing = (claims: boolean) => reserves.closing({ at, maxFeePerGas }, { leg, claims, asset, amount });
  const coin = async (party: Party, wanted: { field: string; needed: bigint }): Promise<Want[]> => {
    const name = managed(party);
    if (name === undefined) return [];
    const account = addressOn(party, leg);
    const balance = await coinOf(account);
    const kept = (from: Queryable) => reserves.kept(from, { at, account: name, maxFeePerGas });
    return [{ chain: chain.name, asset: { type: "native" }, account, asOf, held: balance, kept, ...wanted }];
  };
  const gas = { lock: lockingGas(asset) * maxFeePerGas + closing(false), claim: closing(true) };
  const coins = await Promise.all([
    coin(locker, { field, needed: gas.lock + tip + (token ? 0n : amount) }),
    coin(claimer, { field: `${leg}.chain`, needed: gas.claim }),
  ]);
  const tokens: Want[] =
    token && held !== undefined && managed(locker) !== undefined
      ? [{ chain: chain.name, field, account: addressOn(locker, leg), asset: token, asOf, held, needed: amount }]
      : [];
  const unlessManaged = (party: Party, wei: bigint) => (managed(party) === undefined ? wei : 0n);
  const gasForOthers = unlessManaged(locker, gas.lock) + unlessManaged(claimer, gas.claim);
  return { chain: chain.name, wants: [...coins.flat(), ...tokens], gasForOthers };
}
