export { type ErrorCode, isLockstepError, LockstepError } from "#core/kernel/errors.ts";
export type { Authorize, CallOptions } from "./call.ts";
export { type ExpectedLock, type FinalReader, verifyClaim } from "./claimCheck.ts";
export {
  type Client,
  type ClientOptions,
  createClient,
  type Instance,
  type Lock,
  type Message,
  type MessageOrder,
  type Quote,
  type Swap,
  type SwapOrder,
} from "./client.ts";
export type { EventsOptions, EventsQuery, ServiceEvent } from "./events.ts";
export { createParty, type Party, type PartyOptions } from "./party.ts";
export { createSecret, type Secret } from "./secret.ts";
export { type EthersSigner, fromEthers, fromViem, type Signer } from "./signers.ts";
