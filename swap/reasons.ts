/** Why a swap is where it is, besides the steps themselves and why one of them failed. `docs/swaps.md` lists them. */
export const swapReasons = {
  "awaiting-finality": "waiting for what was seen to be final",
  "awaiting-initiator": "the initiator is external, and the next step is its own",
  "awaiting-counterparty": "the counterparty is external, and the next step is its own",
  "lock-may-come": "the time to lock has passed; a lock that an external party has sent in time may still be mined",
  "awaiting-timelock": "waiting for a claim, or for the timelock to run out",
  "awaiting-approval": "a lock waits for an approval",
  "reserve-short": "an account lacks coin for the claims and refunds of its open swaps, so nothing more is locked",
  "price-moved": "the desk's price has moved beyond its limit, so it does not lock at present",
  halted: "an operator has halted locks like these; claims and refunds go on",
  "chain-paused": "a chain of the swap is paused, so nothing more is locked; claims and refunds go on",
  "step-in-progress": "a transaction is on its way",
  "step-retry": "the last attempt of a step failed; it is tried again",
  "early-refund": "the recipient of a leg agrees that it is refunded now",
  "deadline-passed": "a step was not taken while it was safe; what is locked is refunded",
  rejected: "who was asked about a lock has rejected it; what is locked is refunded",
  "token-invalid": "approving the token had no effect; what is locked is refunded",
  ended: "nothing is left to do",
} as const;

/** The words for a reason; the code itself for one that is a step. */
export const wordsFor = (code: string): string => (isReason(code) ? swapReasons[code] : code);

const isReason = (code: string): code is keyof typeof swapReasons => Object.hasOwn(swapReasons, code);
