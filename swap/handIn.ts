import { hashTypedData } from "viem";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import { hasAllowance } from "./assets.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import { deadlinesOf } from "./deadlines.ts";
import { type LegName, type SignatureKind, type SwapEvent, swapStream } from "./events.ts";
import { onceOf } from "./handover.ts";
import { addressOn, claimerOf, lockerOf, managed, senderOf } from "./parties.ts";
import { hashlockOf } from "./protocol/hashlock.ts";
import { permit2Address } from "./protocol/typedData.ts";
import type { SignatureRequest } from "./schemas.ts";
import type { SecretStore } from "./secrets.ts";
import { foldSwap, isOpen, phaseOf, type Swap } from "./swap.ts";
import { lockSignatures, requireSignature, typedDataOf } from "./typedData.ts";

/** What external parties hand in so that the service acts for them. Nothing of it is believed before it is checked. */
export type HandIn = {
  /**
   * A signature over typed data that the swap showed. Throws `not-found`, `swap-not-waiting` where it would do nothing
   * any more, `swap-not-ready` where not yet, `signature-invalid` where it is not the party's.
   */
  signature(swapId: string, body: SignatureRequest): Promise<void>;
  /**
   * The secret of an external initiator, which the service then claims with as it does for a managed one. Throws
   * `not-found`, `swap-not-claimable` where not yet, `swap-over`, `swap-not-waiting`, `secret-wrong`.
   */
  secret(swapId: string, secret: Hex): Promise<void>;
};

type Deps = { db: Db; store: EventStore; chains: SwapChains; secrets: SecretStore };

export function createHandIn(deps: Deps): HandIn {
  const { db, store, chains } = deps;

  async function load(swapId: string): Promise<Swap> {
    const swap = foldSwap(await store.load<SwapEvent>(db, swapStream(swapId)));
    if (!swap) throw new LockstepError("not-found", "there is no swap with this id", { details: { field: "id" } });
    return swap;
  }

  const deadlinesFor = ({ terms: { source, target } }: Swap) =>
    deadlinesOf(chains.timing(source.chain, target.chain), { source: source.timelock, target: target.timelock });

  return {
    async signature(swapId, body) {
      const swap = await load(swapId);
      const { leg, kind, signature } = body;
      const signer = requireSigner(swap, leg, kind);
      const at = chains.get(swap.terms[leg].chain);
      const shown = await onceOf(at, swap, leg, kind, deadlinesFor(swap));
      const once = { nonce: body.nonce ?? shown?.nonce ?? 0n, deadline: body.deadline ?? shown?.deadline ?? 0n };
      if (once.deadline < chains.clockTime()) {
        throw new LockstepError("request-invalid", `deadline: ${once.deadline} has passed`, {
          details: { field: "deadline" },
        });
      }
      const data = await typedDataOf(at.chain, swap, leg, kind, once);
      if (!data) throw unwanted("kind", "the token knows no permits that could be checked");
      // Tokens take permits that a key signed.
      const byKey = kind === "permit";
      await requireSignature(at.chain, signer, { digest: hashTypedData(data), signature, byKey });
      await requireAllowance(at, swap, leg, kind);
      const event: SwapEvent = { type: "SignatureReceived", data: { leg, kind, ...once, signature } };
      await db.tx((tx) => store.append(tx, [{ stream: swapStream(swap.id), expected: swap.version, events: [event] }]));
    },
    async secret(swapId, secret) {
      const swap = await load(swapId);
      if (hashlockOf(secret) !== swap.hashlock) {
        throw new LockstepError("secret-wrong", "secret: its SHA-256 is not the hashlock of the swap", {
          details: { field: "secret" },
        });
      }
      if (swap.secretKept) return;
      requireRevealable(swap, deadlinesFor(swap).revealBy, chains.clockTime());
      await keepSecret(swap, redact(secret));
    },
  };

  async function keepSecret(swap: Swap, secret: Redacted<Hex>): Promise<void> {
    const event: SwapEvent = { type: "SecretReceived", data: {} };
    await db.tx(async (tx) => {
      await deps.secrets.keep(tx, swap.hashlock, secret);
      await store.append(tx, [{ stream: swapStream(swap.id), expected: swap.version, events: [event] }]);
    });
  }
}

/** A signed lock moves what its sender has allowed to be moved, and a signature that cannot be used would hide that. */
async function requireAllowance({ chain }: SwapChain, swap: Swap, leg: LegName, kind: SignatureKind): Promise<void> {
  if (kind !== "lock" && kind !== "permit2") return;
  const terms = swap.terms[leg];
  const spender = kind === "permit2" ? permit2Address : terms.timelockContract;
  if (kind === "lock" && swap.legs[leg].signatures.permit) return;
  if (await hasAllowance(chain, terms, spender)) return;
  const first = kind === "lock" ? "approve it, or hand in a permit first" : "approve it first";
  throw new LockstepError("allowance-missing", `signature: ${spender} may not move what the leg locks; ${first}`, {
    details: { field: "signature", spender },
  });
}

const notReady = (field: string, why: string) =>
  new LockstepError("swap-not-ready", `${field}: ${why}`, { details: { field } });

const unwanted = (field: string, why: string) =>
  new LockstepError("swap-not-waiting", `${field}: ${why}`, { details: { field } });

/** The external party whose signature of this kind the swap can use now. */
function requireSigner(swap: Swap, leg: LegName, kind: SignatureKind): Hex {
  const name = kind === "early-refund" ? claimerOf(leg) : lockerOf(leg);
  if (managed(swap[name]) !== undefined) throw unwanted("leg", `the ${name} is managed; the service signs for it`);
  if (kind === "early-refund") {
    if (phaseOf(swap.legs[leg]) === "none" && !swap.givenUp) throw notReady("leg", "it is not locked yet");
    if (!isOpen(swap.legs[leg])) throw unwanted("leg", "it is not locked");
  } else {
    const { asset, tip } = swap.terms[leg];
    if (!lockSignatures(swap.terms[leg]).includes(kind)) {
      throw unwanted("kind", `no ${kind} is signed for ${asset.type}${tip > 0n ? " with a tip" : ""}`);
    }
    const { lock, permit2 } = swap.legs[leg].signatures;
    if ((kind === "lock" && permit2) || (kind === "permit2" && lock)) {
      throw unwanted("kind", "a lock is signed already, and a second one could be locked too");
    }
    if (phaseOf(swap.legs[leg]) !== "none" || swap.givenUp) throw unwanted("leg", "no lock of it is waited for");
  }
  if (senderOf(swap, kind === "early-refund" ? `refund-early-${leg}` : `lock-${leg}`) === undefined) {
    throw unwanted("kind", "no account of the service pays for this swap");
  }
  return addressOn(swap[name], leg);
}

/** An initiator should not part with its secret before the service would use it. */
function requireRevealable(swap: Swap, revealBy: bigint, now: bigint): void {
  const refuse = (code: "swap-not-claimable" | "swap-not-waiting" | "swap-over", why: string) => {
    throw new LockstepError(code, why);
  };
  const { source, target } = swap.legs;
  if (senderOf(swap, "claim-target") === undefined) {
    refuse("swap-not-waiting", "no account of the service pays for this swap");
  }
  if (swap.givenUp) refuse("swap-over", `the swap was given up: ${swap.givenUp.detail}`);
  if (now > revealBy) refuse("swap-over", `the secret was safe to show only until ${revealBy}, and it is ${now}`);
  const phases = `source leg ${phaseOf(source)}, target leg ${phaseOf(target)}`;
  if (source.end || target.end) refuse("swap-over", `${phases}; a claim needs both locked`);
  if (phaseOf(source) !== "locked" || phaseOf(target) !== "locked") {
    refuse("swap-not-claimable", `${phases}; a claim needs both locked in final blocks`);
  }
}
