import { decodeFunctionData, encodeAbiParameters, erc20Abi, zeroAddress } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import type { LegTerms } from "#swap/events.ts";
import { type LockTerms, lockId } from "#swap/protocol/lockId.ts";
import type { ModelChain } from "./modelChain.ts";
import type { Consent, Effect, TokenMood } from "./modelContract.ts";
import { timelockContract } from "./modelLogs.ts";
import type { Edge } from "./modelStore.ts";

export const tokenContract: Hex = `0x${"70".repeat(20)}`;

const word = (value: bigint): Hex => `0x${value.toString(16).padStart(64, "0")}`;
const yes = word(1n);
const no = word(0n);

/** A chain as the service has it, through calls in which time may pass, or the process die. */
export function portOf(parts: {
  chain: ModelChain;
  chainId: number;
  edge: Edge;
  mood(): TokenMood;
  /** Told whether a payout that was tried would have succeeded. */
  tried(pays: boolean): void;
}): Chain {
  const { chain, chainId, edge } = parts;

  function token(data: Hex): Hex {
    const { functionName, args } = decodeFunctionData({ abi: erc20Abi, data });
    if (functionName === "allowance") {
      return word(chain.stateAt("latest").approved.has(args[0].toLowerCase() as Hex) ? 2n ** 255n : 0n);
    }
    if (functionName !== "transfer") throw new Error(`the model's token does not know ${functionName}`);
    const mood = parts.mood()(args[0].toLowerCase() as Hex);
    parts.tried(mood === "pays");
    if (mood === "reverts") throw new LockstepError("call-reverted", "frozen");
    return mood === "pays" ? yes : no;
  }

  return {
    name: chain.name,
    chainId,
    async block(at: "latest" | "final" | bigint) {
      await edge("block");
      return chain.block(at);
    },
    async call({ to, data }: { to: Hex; data: Hex }, at?: bigint | "pending") {
      await edge("call");
      if (to === tokenContract) return token(data);
      // The service asks the contract for nothing else: what follows the selector is the lock's id.
      const id: Hex = `0x${data.slice(10)}`;
      const lock = chain.stateAt(typeof at === "bigint" ? at : "latest").locks.get(id);
      return lock && lock.end === undefined ? yes : no;
    },
  } as unknown as Chain;
}

/** What the service sends; the whole of it would be hashed anew for every transaction. */
const sentNames = ["createLock", "lockSigned", "claim", "refund", "refundEarly"];
const sentAbi = hashedTimelockAbi.filter((item) => item.type === "function" && sentNames.includes(item.name));

/** What a transaction does, by its calldata. */
export function effectOf({ chain, account }: IntentRequest, to: Hex, data: Hex, known: Known): Effect {
  if (to === tokenContract) return { kind: "approve", account: known.addressOf(account) };
  const { functionName, args } = decodeFunctionData({ abi: sentAbi, data });
  const [raw, second] = args as readonly unknown[];
  const terms = lowerCase(raw as LockTerms);
  const id = lockId(known.chainIdOf(chain), timelockContract, terms);
  switch (functionName) {
    case "createLock":
      return { kind: "lock", id, terms };
    case "lockSigned":
      return { kind: "lock", id, terms, nonce: (second as { nonce: bigint }).nonce };
    case "claim":
      return { kind: "claim", id, secret: second as Hex };
    case "refund":
      return { kind: "refund", id };
    case "refundEarly":
      return { kind: "refundEarly", id, consent: readConsent((second as { signature: Hex }).signature) };
    default:
      throw new Error(`the model does not know ${functionName}`);
  }
}

type Known = { chainIdOf(chain: string): number; addressOf(account: string): Hex };

/** viem decodes addresses with checksums; the model compares them as strings. */
function lowerCase(terms: LockTerms): LockTerms {
  const lower = (address: Hex) => address.toLowerCase() as Hex;
  const { sender, recipient, token } = terms;
  return { ...terms, sender: lower(sender), recipient: lower(recipient), token: lower(token) };
}

const consentTypes = ["address", "bytes32", "uint256", "uint256"].map((type) => ({ type }));

/** A signature of the model: who signed what, which everybody can read and nobody but the signer makes. */
export const signConsent = ({ signer, id, lockedAt, nonce }: Consent): Hex =>
  encodeAbiParameters(consentTypes, [signer, id, lockedAt, nonce]);

function readConsent(signature: Hex): Consent {
  const at = (place: number): Hex => `0x${signature.slice(2 + 64 * place, 2 + 64 * (place + 1))}`;
  return { signer: `0x${at(0).slice(26)}`, id: at(1), lockedAt: BigInt(at(2)), nonce: BigInt(at(3)) };
}

/** The terms of a leg as the contract has them. */
export function lockTermsOf({ asset, ...leg }: LegTerms, hashlock: Hex): LockTerms {
  const { sender, recipient, amount, timelock, tip } = leg;
  const token = asset.type === "native" ? zeroAddress : tokenContract;
  return { sender, recipient, token, amount, hashlock, timelock, tip };
}
