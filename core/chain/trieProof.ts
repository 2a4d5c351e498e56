import { fromRlp, toRlp } from "viem";
import type { Hex } from "../kernel/codec.ts";
import { keccak256 } from "../kernel/keccak.ts";
import { invalidAnswer } from "./answer.ts";

/** Root of a trie with nothing in it: keccak256 of the empty string in RLP. */
export const emptyTrieRoot: Hex = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

/** Nibbles in a path: the trie's paths are hashes of its keys. */
const pathLength = 64;

/** RLP decoded: bytes, or a list of such. */
type Item = Hex | readonly Item[];

/**
 * Walks a Merkle-Patricia proof, from the root to where the key is or would be, and answers the key's value, or
 * undefined when the proof shows that there is none. Throws `chain-answer-invalid` for a proof that shows neither, and
 * for one with nodes it does not need. (Yellow Paper, appendix D.)
 */
export function provenValue(root: Hex, key: Hex, proof: readonly Hex[]): Hex | undefined {
  if (root === emptyTrieRoot && (proof.length === 0 || (proof.length === 1 && proof[0] === "0x80"))) return undefined;
  const path = keccak256(key).slice(2);
  let used = 0;
  let depth = 0;

  const follow = (reference: Item | undefined): readonly Item[] => {
    const encoded = proof[used];
    // A node under 32 bytes stands in its parent as it is; some nodes list it once more.
    if (typeof reference === "object") {
      if (encoded === toRlp(reference)) used++;
      return reference;
    }
    if (encoded === undefined || keccak256(encoded) !== reference) throw invalidProof("does not follow from its root");
    used++;
    return decodeNode(encoded);
  };
  const end = (value: Hex | undefined): Hex | undefined => {
    if (used !== proof.length) throw invalidProof("goes on where it should end");
    return value;
  };

  for (let node = follow(root); ; ) {
    if (node.length === 17) {
      const child = node[Number.parseInt(path.charAt(depth), 16)];
      depth++;
      if (child === "0x") return end(undefined);
      node = follow(child);
      continue;
    }
    const { nibbles, isLeaf } = decodePath(node);
    const isOnPath = path.startsWith(nibbles, depth);
    depth += nibbles.length;
    if (isLeaf) {
      if (depth !== pathLength) throw invalidProof("ends at a wrong depth");
      return end(isOnPath ? leafValue(node) : undefined);
    }
    if (!isOnPath) return end(undefined);
    node = follow(node[1]);
  }
}

function decodeNode(encoded: Hex): readonly Item[] {
  const node = decode(encoded);
  if (typeof node === "string") throw invalidProof("has a node that is no list");
  return node;
}

/** RLP decoded; throws `chain-answer-invalid` for anything else. */
export function decode(encoded: Hex): Item {
  try {
    return fromRlp(encoded, "hex");
  } catch {
    throw invalidProof("holds something that is not RLP");
  }
}

/** The compact path of a leaf or an extension: a nibble with its kind and whether the length is odd, maybe a zero, the rest. */
function decodePath(node: readonly Item[]): { nibbles: string; isLeaf: boolean } {
  const [compact] = node;
  const match = typeof compact === "string" && node.length === 2 && /^0x(?:([02])0|([13]))([0-9a-f]*)$/.exec(compact);
  if (!match) throw invalidProof("has a node of no known kind");
  const [, even, odd, nibbles = ""] = match;
  const isLeaf = even === "2" || odd === "3";
  if (!isLeaf && nibbles === "") throw invalidProof("has a node that leads nowhere");
  return { nibbles, isLeaf };
}

function leafValue(leaf: readonly Item[]): Hex {
  const [, value] = leaf;
  if (typeof value !== "string" || value === "0x") throw invalidProof("ends without a value");
  return value;
}

const invalidProof = (why: string) => invalidAnswer(`the proof ${why}`, {});
