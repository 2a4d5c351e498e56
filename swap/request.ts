import { randomUUID } from "node:crypto";
import { decodeFunctionResult, encodeFunctionData, erc20Abi } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import { defaultTimelocks, type Timelocks, unsafeTimelock } from "./deadlines.ts";
import { type LegName, type LegTerms, type SwapEvent, swapStream } from "./events.ts";
import { lockTermsOf } from "./intents.ts";
import { lockId } from "./protocol/lockId.ts";
import { promisedAmount } from "./readModel.ts";
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
};

/** Gas that a party needs on a chain to take part: its lock or approval, a claim and a refund. */
const gasReserve = 1_000_000n;

/**
 * Checks a request for a swap against configuration and chains, and writes it. Nothing is written when it is refused;
 * every refusal names the field. Returns the id of the new swap.
 */
export function createSwapRequester(deps: Deps): { request(body: SwapRequest): Promise<string> } {
  const { chains } = deps;

  function party(body: SwapRequest, name: "initiator" | "counterparty"): { account: string; address: Hex } {
    const { account } = body[name];
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

  async function chooseTimelocks(body: SwapRequest): Promise<Timelocks> {
    const timing = chains.timing(body.source.chain, body.target.chain);
    const now = await chains.progressTime(body.source.chain, body.target.chain);
    if (!body.timelocks) return defaultTimelocks(timing, now);
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
    async request(body) {
      const legs = {
        source: chains.get(body.source.chain, "source.chain"),
        target: chains.get(body.target.chain, "target.chain"),
      };
      if (body.source.chain === body.target.chain)
        throw refused("target.chain", "the two legs are on different chains");
      for (const leg of ["source", "target"] as const) requireOpen(legs[leg], `${leg}.chain`);
      const initiator = party(body, "initiator");
      const counterparty = party(body, "counterparty");
      if (initiator.account === counterparty.account)
        throw refused("counterparty.account", "the two parties are different accounts");
      const wants = [
        ...(await wantsOf(legs.source, body, "source", initiator.address, counterparty.address)),
        ...(await wantsOf(legs.target, body, "target", counterparty.address, initiator.address)),
      ];
      for (const want of wants) requireHeld(want, 0n);
      const timelocks = await chooseTimelocks(body);
      const id = randomUUID();
      await deps.db.tx(async (tx) => {
        await deps.admit?.(tx, [body.source.chain, body.target.chain]);
        for (const want of wants) requireHeld(want, await promisedAmount(tx, want.chain, want.account, want.asset));
        const hashlock = await deps.secrets.create(tx);
        const { address: i } = initiator;
        const { address: c } = counterparty;
        const source = termsOf(body, "source", legs.source, timelocks, hashlock, i, c);
        const target = termsOf(body, "target", legs.target, timelocks, hashlock, c, i);
        const data = { hashlock, initiator, counterparty, source, target };
        const requested: SwapEvent = { type: "SwapRequested", data };
        await deps.store.append(tx, [{ stream: swapStream(id), expected: 0, events: [requested] }]);
      });
      return id;
    },
  };
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
  timelocks: Timelocks,
  hashlock: Hex,
  sender: Hex,
  recipient: Hex,
): LegTerms {
  const { chain, asset, amount } = body[leg];
  const { chainId } = at.chain;
  const contract = at.timelockContract;
  const terms = { asset, amount, sender, recipient, timelock: timelocks[leg], tip: 0n };
  const unnamed = { ...terms, chain, chainId, timelockContract: contract, lockId: hashlock };
  return { ...unnamed, lockId: lockId(chainId, contract, lockTermsOf(unnamed, hashlock)) };
}

/** Something an account must hold for the swap, and does hold as far as the chain says now. */
type Want = {
  readonly field: string;
  readonly chain: string;
  readonly account: Hex;
  readonly asset: LegTerms["asset"];
  readonly held: bigint;
  readonly needed: bigint;
};

/** The locker holds the amount, and both parties coin for gas on this chain. */
async function wantsOf(at: SwapChain, body: SwapRequest, leg: LegName, locker: Hex, claimer: Hex): Promise<Want[]> {
  const { chain } = at;
  const { asset, amount } = body[leg];
  const gas = (await chain.fees()).maxFeePerGas * gasReserve;
  const native = { chain: chain.name, asset: { type: "native" } } as const;
  const [lockerCoin, claimerCoin] = await Promise.all([locker, claimer].map((account) => chain.account(account)));
  const wants: Want[] = [
    {
      ...{ ...native, field: `${leg}.amount`, account: locker, held: lockerCoin?.balance ?? 0n },
      needed: gas + (asset.type === "native" ? amount : 0n),
    },
    { ...native, field: `${leg}.chain`, account: claimer, held: claimerCoin?.balance ?? 0n, needed: gas },
  ];
  if (asset.type === "native") return wants;
  const held = await tokenBalance(at, asset.address, locker, `${leg}.asset.address`);
  return [...wants, { chain: chain.name, field: `${leg}.amount`, account: locker, asset, held, needed: amount }];
}

/** `promised`: what other swaps will still take from the same balance. */
function requireHeld({ field, chain, account, asset, held, needed }: Want, promised: bigint): void {
  if (held - promised >= needed) return;
  const what = asset.type === "native" ? "of the coin, gas included" : "of the token";
  const less = promised > 0n ? `, ${promised} of it promised to other swaps,` : "";
  throw new LockstepError(
    "balance-insufficient",
    `${account} holds ${held}${less} on ${chain} and needs ${needed} ${what}`,
    {
      details: { field, account, held, promised, needed },
    },
  );
}

async function tokenBalance({ chain }: SwapChain, token: Hex, holder: Hex, field: string): Promise<bigint> {
  const invalid = () =>
    new LockstepError("token-invalid", `${token} is not an ERC-20 token on ${chain.name}`, { details: { field } });
  if (!(await chain.account(token)).hasCode) throw invalid();
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "balanceOf", args: [holder] });
  try {
    return decodeFunctionResult({
      abi: erc20Abi,
      functionName: "balanceOf",
      data: await chain.call({ to: token, data }),
    });
  } catch (error) {
    if (isLockstepError(error) && error.code !== "call-reverted") throw error;
    throw invalid();
  }
}
