import type { Hex } from "#core/kernel/codec.ts";
import type { Message as WireMessage } from "./protocol/message.ts";

/**
 * Contents of messages seen lately, by on-chain id, so that a delivery that follows at once reads no streams. The id is
 * the hash of the content, so what is here can be missing but never wrong.
 */
export type RecentContents = {
  remember(onchainId: Hex, message: WireMessage): void;
  get(onchainId: Hex): WireMessage | undefined;
};

const mostMessages = 5_000;
const mostCharacters = 16 * 1024 * 1024;

export function createRecentContents(): RecentContents {
  const kept = new Map<Hex, WireMessage>();
  let characters = 0;
  return {
    remember(onchainId, message) {
      if (kept.has(onchainId)) return;
      kept.set(onchainId, message);
      characters += message.payload.length;
      for (const [oldest, { payload }] of kept) {
        if (kept.size <= mostMessages && characters <= mostCharacters) break;
        kept.delete(oldest);
        characters -= payload.length;
      }
    },
    get: (onchainId) => kept.get(onchainId),
  };
}
