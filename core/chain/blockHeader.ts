import { numberToHex, toRlp } from "viem";
import { z } from "zod";
import { address, type Hex, hash, hex } from "../kernel/codec.ts";
import { keccak256 } from "../kernel/keccak.ts";
import { invalidAnswer, parseAnswer } from "./answer.ts";
import { quantity } from "./wire.ts";

/** The fields in the order of the header; those from `baseFeePerGas` on came with later forks. */
const wireHeader = z.object({
  parentHash: hash,
  sha3Uncles: hash,
  miner: address,
  stateRoot: hash,
  transactionsRoot: hash,
  receiptsRoot: hash,
  logsBloom: hex,
  difficulty: quantity,
  number: quantity,
  gasLimit: quantity,
  gasUsed: quantity,
  timestamp: quantity,
  extraData: hex,
  mixHash: hash,
  nonce: hex,
  baseFeePerGas: quantity.optional(),
  withdrawalsRoot: hash.optional(),
  blobGasUsed: quantity.optional(),
  excessBlobGas: quantity.optional(),
  parentBeaconBlockRoot: hash.optional(),
  requestsHash: hash.optional(),
});

const order = wireHeader.keyof().options;

/** A block's header whose encoding was checked against its hash: who trusts the hash can trust the rest. */
export type BlockHeader = {
  readonly number: bigint;
  readonly hash: Hex;
  readonly stateRoot: Hex;
  /** The header in RLP, of which `hash` is the keccak256. */
  readonly rlp: Hex;
};

/**
 * Reads an answer to `eth_getBlockByNumber` or `eth_getBlockByHash`. Throws `chain-answer-invalid` unless its fields
 * make the hash it names; so does a header with fields of a fork that this function does not know.
 */
export function readBlockHeader(answer: unknown): BlockHeader {
  const { hash: claimed, ...fields } = parseAnswer(wireHeader.extend({ hash }), answer, "a block");
  const rlp = toRlp(
    order.flatMap((name) => {
      const value = fields[name];
      if (value === undefined) return [];
      return [typeof value === "bigint" ? scalar(value) : value];
    }),
  );
  if (keccak256(rlp) !== claimed) {
    throw invalidAnswer("the block's fields do not make its hash", { block: fields.number, hash: claimed });
  }
  return { number: fields.number, hash: claimed, stateRoot: fields.stateRoot, rlp };
}

/** A number in RLP has no leading zeros, and zero has no bytes at all. */
export function scalar(value: bigint): Hex {
  if (value === 0n) return "0x";
  const digits = numberToHex(value).slice(2);
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`;
}
