import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { NextStep } from "#swap/routes.ts";
import { type ExpectedLock, type FinalReader, verifyClaim } from "./claimCheck.ts";
import type { Client, Swap } from "./client.ts";
import type { Secret } from "./secret.ts";
import type { Signer } from "./signers.ts";

type Ready = NextStep["transactions"][number];

export type PartyOptions = {
  readonly client: Client;
  readonly signer: Signer;
  /** Of an initiator: what its hashlock is of. */
  readonly secret?: Secret;
  /** By chain: what the party itself asks, so that it need not believe the service. Needed to show a secret. */
  readonly readers?: Readonly<Record<string, FinalReader>>;
  /** By chain: the HashedTimelock that the party trusts. Needed to show a secret. */
  readonly timelocks?: Readonly<Record<string, Hex>>;
};

/** A party of swaps that holds its own key. */
export type Party = {
  /**
   * Does what the swap waits for from this party, if anything: signs and hands in where a signature is enough, sends
   * the transactions otherwise. Answers with what was done. Before the secret is shown the lock that pays for it is
   * checked on the chain (`lock-unverified`).
   */
  step(swap: Swap, order: OrderedLeg): Promise<"signed" | "sent" | "nothing">;
};

/** What the party asked to be paid: the target leg of its order for an initiator. */
type OrderedLeg = Pick<ExpectedLock, "asset" | "amount">;

export function createParty({ client, signer, secret, readers = {}, timelocks = {} }: PartyOptions): Party {
  async function reveal(ready: Ready, order: OrderedLeg, until: bigint): Promise<Hex> {
    const { chain, chainId, to, data, secretOffset } = ready;
    const [reader, timelock] = [readers[chain], timelocks[chain]];
    if (!secret) throw new LockstepError("lock-unverified", "the party has no secret to claim with");
    if (!reader || !timelock) {
      throw new LockstepError(
        "lock-unverified",
        `name a reader and the timelock of ${chain}: the lock there is looked at first`,
      );
    }
    const { hashlock } = secret;
    await verifyClaim(
      { to, data },
      { ...order, chainId, timelock, recipient: signer.address, hashlock, openUntil: until },
      reader,
    );
    return secretOffset === undefined ? data : secret.within(data, secretOffset);
  }

  return {
    async step(swap, order) {
      const { next } = swap;
      const mine = next && isParty(swap[next.by], signer.address);
      if (!next || !mine) return "nothing";
      const toSign = next.action.startsWith("lock-") ? signable(next) : [];
      for (const { leg, kind, nonce, deadline, typedData, transactions = [] } of toSign) {
        const { chain } = swap[leg];
        for (const { to, data, value } of transactions) await signer.send(chain, { to, data, value });
        const signature = await signer.signTypedData(chain, typedData);
        await client.swaps.sign(swap.id, { leg, kind, nonce, deadline, signature });
      }
      if (toSign.length > 0) return "signed";
      for (const ready of next.transactions) {
        const data =
          ready.what === "claim" && ready.secretOffset !== undefined
            ? await reveal(ready, order, next.until)
            : ready.data;
        await signer.send(ready.chain, { to: ready.to, data, value: ready.value });
      }
      return "sent";
    },
  };
}

/** What makes a lock by signatures, the one that needs no gas first; nothing where sending it is the only way. */
function signable({ typedData, transactions }: NextStep): NextStep["typedData"] {
  const find = (kind: string) => typedData.filter((each) => each.kind === kind);
  const [lock, permit, permit2] = [find("lock"), find("permit"), find("permit2")];
  const isAllowed = !transactions.some(({ what }) => what === "approve");
  if (lock.length > 0 && (permit.length > 0 || isAllowed)) return [...permit, ...lock];
  return permit2;
}

/** An external party may have another address on each chain; a signer is one account. */
function isParty(party: Swap["initiator"], address: Hex): boolean {
  const addresses = "account" in party ? [] : [party.source, party.target];
  return addresses.some((each) => each.toLowerCase() === address.toLowerCase());
}
