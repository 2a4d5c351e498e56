import { numberToHex, toRlp } from "viem";
import { z } from "zod";
import { address, type Hex, hash, hex } from "../kernel/codec.ts";
import { keccak256 } from "../kernel/keccak.ts";
import { invalidAnswer, parseAnswer } from "./answer.ts";
import { type BlockHeader, scalar } from "./blockHeader.ts";
import { decode, emptyTrieRoot, provenValue } from "./trieProof.ts";
import { quantity } from "./wire.ts";

const emptyCodeHash = keccak256("0x");
const zeroHash = numberToHex(0, { size: 32 });

/** An answer to `eth_getProof`. A slot comes back as it was asked for, as 32 bytes, or without its leading zeros. */
const wireProof = z.object({
  address,
  nonce: quantity,
  balance: quantity,
  codeHash: hash,
  storageHash: hash,
  accountProof: z.array(hex),
  storageProof: z.array(z.object({ key: quantity, value: quantity, proof: z.array(hex) })),
});

type WireProof = z.output<typeof wireProof>;

type ProvenAccount = {
  readonly nonce: bigint;
  /** In wei. */
  readonly balance: bigint;
  readonly storageRoot: Hex;
  readonly codeHash: Hex;
};

/** What a chain's state says right after one block. */
export type ProvenState = {
  readonly block: { readonly number: bigint; readonly hash: Hex };
  readonly address: Hex;
  /** Undefined where the proof shows that there is no such account. */
  readonly account: ProvenAccount | undefined;
  /** The nodes of the state trie from its root to where the account is or would be, in RLP. */
  readonly accountProof: readonly Hex[];
  /** The slots in the order they were asked for, as 32 bytes; zero where the proof shows that nothing is stored. */
  readonly storage: readonly { readonly slot: Hex; readonly value: Hex; readonly proof: readonly Hex[] }[];
};

/** State with the header whose state root it was checked against. */
export type StateProof = ProvenState & { readonly header: BlockHeader };

/** What is asked of a chain's state: an account, and slots of its storage. */
export type StateQuestion = { readonly address: Hex; readonly slots: readonly Hex[] };

/**
 * Checks an answer to `eth_getProof` against the state root of the block it was asked at, so that it needs no trust but
 * in that block's hash. Throws `chain-answer-invalid` when a proof fails, when it shows anything but what the answer
 * claims beside it, and when the answer is to another question. The block must have come through `readBlockHeader`.
 */
export function verifyState(
  block: Pick<BlockHeader, "number" | "hash" | "stateRoot">,
  question: StateQuestion,
  answer: unknown,
): ProvenState {
  const proof = parseAnswer(wireProof, answer, "a state proof");
  const claim = (isTrue: boolean, what: string) => {
    if (isTrue) return;
    throw invalidAnswer(`the node's answer has ${what}`, { block: block.number, address: question.address });
  };
  claim(BigInt(proof.address) === BigInt(question.address), "another account");
  claim(proof.storageProof.length === question.slots.length, "another number of slots");

  const account = decodeAccount(provenValue(block.stateRoot, question.address, proof.accountProof));
  claim(account === undefined ? isNothing(proof) : isSame(account, proof), "other values than its proof");
  const storage = question.slots.map((asked, index) => {
    const slot = numberToHex(BigInt(asked), { size: 32 });
    const { key, value, proof: nodes } = proof.storageProof[index] as WireProof["storageProof"][number];
    claim(key === BigInt(slot), "another slot");
    const found = decodeSlot(provenValue(account?.storageRoot ?? emptyTrieRoot, slot, nodes));
    claim(found === value, "another value in a slot than its proof");
    return { slot, value: numberToHex(found, { size: 32 }), proof: nodes };
  });
  const { accountProof } = proof;
  const at = { number: block.number, hash: block.hash };
  return { block: at, address: question.address, account, accountProof, storage };
}

function isSame(account: ProvenAccount, proof: WireProof): boolean {
  const { nonce, balance, storageRoot, codeHash } = account;
  return (
    nonce === proof.nonce &&
    balance === proof.balance &&
    storageRoot === proof.storageHash &&
    codeHash === proof.codeHash
  );
}

/** Nodes spell the hashes of an account that does not exist as zero, or as those of an empty one. */
function isNothing({ nonce, balance, codeHash, storageHash }: WireProof): boolean {
  return (
    nonce === 0n &&
    balance === 0n &&
    [zeroHash, emptyCodeHash].includes(codeHash) &&
    [zeroHash, emptyTrieRoot].includes(storageHash)
  );
}

function decodeAccount(encoded: Hex | undefined): ProvenAccount | undefined {
  if (encoded === undefined) return undefined;
  const fields = decode(encoded);
  const isList = typeof fields === "object" && fields.length === 4;
  const [nonce, balance, storageRoot, codeHash] = isList ? fields : [];
  if (!isNumber(nonce) || !isNumber(balance) || !isHash(storageRoot) || !isHash(codeHash)) {
    throw invalidAnswer("the proof leads to something that is no account", {});
  }
  return { nonce: toNumber(nonce), balance: toNumber(balance), storageRoot, codeHash };
}

/** Zero for a slot that is not in the trie. */
function decodeSlot(encoded: Hex | undefined): bigint {
  if (encoded === undefined) return 0n;
  const value = decode(encoded);
  if (!isNumber(value) || value === "0x" || toRlp(value) !== encoded) {
    throw invalidAnswer("the proof leads to something that is no slot", {});
  }
  return toNumber(value);
}

type Decoded = ReturnType<typeof decode>;

/** Without leading zeros. That it has 32 bytes at most shows when it is compared with the node's claim. */
const isNumber = (item: Decoded | undefined): item is Hex =>
  typeof item === "string" && scalar(toNumber(item)) === item;
const isHash = (item: Decoded | undefined): item is Hex => typeof item === "string" && item.length === 66;
const toNumber = (item: Hex): bigint => (item === "0x" ? 0n : BigInt(item));
