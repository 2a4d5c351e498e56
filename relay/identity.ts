import { createHash } from "node:crypto";
import type { Tx } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Sender } from "#core/sender/sender.ts";
import { messageIdOf, messageStream } from "./events.ts";
import type { Appended } from "./protocol/logs.ts";

/** Kind of the intents that send messages asked for through the API. */
export const sendKind = "relay.send";

/** Id of the intent that sends a message asked for through the API. */
export const sendIntentId = (messageId: string) => `${messageStream(messageId)}-send`;

/**
 * The service's own id of a message that others sent: the same whenever its transaction is included, also in another
 * block and under another on-chain id. `ordinal` counts the messages of one transaction from 0.
 */
function foreignMessageId(originChainId: number, transactionHash: Hex, ordinal: number): string {
  return idOf(`${originChainId}:${transactionHash}:${ordinal}`);
}

/** The id of a message whose transaction's usual id belongs to another message, with another on-chain id. */
export function furtherMessageId(originChainId: number, { log, ordinal, id }: Numbered): string {
  return idOf(`${originChainId}:${log.transactionHash}:${ordinal}:${id}`);
}

function idOf(text: string): string {
  const digest = createHash("sha256").update(text).digest("hex");
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    digest.slice(12, 16),
    digest.slice(16, 20),
    digest.slice(20, 32),
  ].join("-");
}

/** A message together with its number within its transaction. */
export type Numbered = Appended & { readonly ordinal: number };

/** Numbers the messages of each transaction; expects all of a transaction's, in order. */
export function numbered(facts: readonly Appended[]): Numbered[] {
  const counts = new Map<Hex, number>();
  return facts.map((fact) => {
    const ordinal = counts.get(fact.log.transactionHash) ?? 0;
    counts.set(fact.log.transactionHash, ordinal + 1);
    return { ...fact, ordinal };
  });
}

/** The service's ids of messages: of those asked for through the API their own, of others a derived one. */
export async function identify(
  tx: Tx,
  facts: readonly Numbered[],
  deps: { sender: Pick<Sender, "findByTransactions">; managed: ReadonlySet<Hex>; originChainId: number },
): Promise<Map<Hex, string>> {
  // Only managed accounts sign for the API, so strangers' messages cost no look-up.
  const candidates = facts.filter(({ message }) => deps.managed.has(message.sender));
  const intents = await deps.sender.findByTransactions(
    tx,
    candidates.map(({ log }) => log.transactionHash),
  );
  return new Map(
    facts.map(({ id, ordinal, log }) => {
      const intent = intents.get(log.transactionHash);
      const own = intent?.kind === sendKind ? messageIdOf(intent.subject) : undefined;
      return [id, own ?? foreignMessageId(deps.originChainId, log.transactionHash, ordinal)];
    }),
  );
}
