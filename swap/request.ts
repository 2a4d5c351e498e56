import { randomUUID } from "node:crypto";
import { decodeFunctionResult, encodeFunctionData, erc20Abi } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import { defaultTimelocks, type Timelocks, unsafeTimelock } from "./deadlines.ts";
import { type LegName, type LegTerms, type SwapEvent, swapStream } from "./events.ts";
import { lockTermsOf } from "./intents.ts";
import { lockId } from "./protocol/lockId.ts";
import type { SwapRequest } from "./schemas.ts";
import type { SecretStore } from "./secrets.ts";

type Deps = { db: Db; store: EventStore; chains: SwapChains; keyStore: KeyStore; secrets: SecretStore };

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
    const now = await chains.now(body.source.chain, body.target.chain);
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
      const initiator = party(body, "initiator");
      const counterparty = party(body, "counterparty");
      if (initiator.account === counterparty.account)
        throw refused("counterparty.account", "the two parties are different accounts");
      await requireFunds(legs.source, body, "source", initiator.address, counterparty.address);
      await requireFunds(legs.target, body, "target", counterparty.address, initiator.address);
      const timelocks = await chooseTimelocks(body);
      const id = randomUUID();
      await deps.db.tx(async (tx) => {
        const hashlock = await deps.secrets.create(tx);
        const source = termsOf(
          body,
          "source",
          legs.source,
          timelocks,
          hashlock,
          initiator.address,
          counterparty.address,
        );
        const target = termsOf(
          body,
          "target",
          legs.target,
          timelocks,
          hashlock,
          counterparty.address,
          initiator.address,
        );
        const requested: SwapEvent = {
          type: "SwapRequested",
          data: { hashlock, initiator, counterparty, source, target },
        };
        await deps.store.append(tx, [{ stream: swapStream(id), expected: 0, events: [requested] }]);
      });
      return id;
    },
  };
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

/** The locker holds the amount; both parties hold coin for gas on this chain. */
async function requireFunds(at: SwapChain, body: SwapRequest, leg: LegName, locker: Hex, claimer: Hex): Promise<void> {
  const { chain } = at;
  const { asset, amount } = body[leg];
  const gas = (await chain.fees()).maxFeePerGas * gasReserve;
  const coin = gas + (asset.type === "native" ? amount : 0n);
  const held = (await chain.account(locker)).balance;
  if (held < coin) throw insufficient(`${leg}.amount`, locker, held, coin, chain.name, "coin, gas included");
  const claimerHeld = (await chain.account(claimer)).balance;
  if (claimerHeld < gas) throw insufficient(`${leg}.chain`, claimer, claimerHeld, gas, chain.name, "coin for gas");
  if (asset.type === "native") return;
  const tokens = await tokenBalance(at, asset.address, locker, `${leg}.asset.address`);
  if (tokens < amount) throw insufficient(`${leg}.amount`, locker, tokens, amount, chain.name, "of the token");
}

function insufficient(
  field: string,
  account: Hex,
  held: bigint,
  needed: bigint,
  chain: string,
  what: string,
): LockstepError {
  return new LockstepError("balance-insufficient", `${account} holds ${held} on ${chain} and needs ${needed} ${what}`, {
    details: { field, account, held, needed },
  });
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
