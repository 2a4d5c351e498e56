/**
 * The one table of error codes: what HTTP answers, whether trying again can help, and what it means. `retryable` means
 * that the same request, sent again later without change, may succeed.
 * `docs/errors.md` shows the same rows, and a test keeps the two equal.
 */
export const errorTable = {
  internal: { status: 500, retryable: true, title: "Something failed that should not; the log has the cause" },
  "config-invalid": { status: 500, retryable: false, title: "The configuration was refused" },
  "request-invalid": {
    status: 400,
    retryable: false,
    title: "A field of the request is missing, malformed or out of range",
  },
  "not-found": { status: 404, retryable: false, title: "There is nothing under this address or id" },
  conflict: { status: 409, retryable: true, title: "Somebody else changed the same thing at the same time" },
  unauthorized: { status: 401, retryable: false, title: "The request does not prove who it comes from" },
  forbidden: { status: 403, retryable: false, title: "The caller may not do this" },
  "rate-limited": {
    status: 429,
    retryable: true,
    title: "More requests than the limit allows; `Retry-After` says when",
  },
  "origin-refused": {
    status: 403,
    retryable: false,
    title: "The request came from a web page or under a foreign host name",
  },
  "identity-provider-unreachable": {
    status: 503,
    retryable: true,
    title: "The keys that access tokens are checked by cannot be fetched",
  },
  "replay-check-unreachable": {
    status: 503,
    retryable: true,
    title: "It cannot be told whether a signed request was sent before",
  },
  "unsupported-media-type": { status: 415, retryable: false, title: "The body must be application/json" },
  "body-too-large": { status: 413, retryable: false, title: "The body is larger than the limit" },
  "headers-too-large": { status: 431, retryable: false, title: "The headers are more or longer than the limits" },
  "url-too-long": { status: 414, retryable: false, title: "Path and query are longer than the limit" },
  "request-too-slow": { status: 408, retryable: true, title: "The request did not arrive in time" },
  "lease-lost": { status: 503, retryable: true, title: "Another process does this by now" },
  overloaded: { status: 503, retryable: true, title: "The service has too much to do and turned the request away" },
  "answer-overdue": {
    status: 503,
    retryable: true,
    title: "The request was not answered in time; what it asked for may still happen",
  },
  "idempotency-key-reused": {
    status: 409,
    retryable: false,
    title: "The Idempotency-Key was used for another request",
  },
  "idempotency-key-busy": {
    status: 409,
    retryable: true,
    title: "A request with this Idempotency-Key is still under way",
  },
  "chain-unreachable": { status: 503, retryable: true, title: "No endpoint of the chain answered in time" },
  "chain-answer-invalid": {
    status: 502,
    retryable: true,
    title: "An endpoint of the chain gave an answer that cannot be right",
  },
  "chain-request-refused": { status: 502, retryable: true, title: "The chain's endpoint refused the request" },
  "block-not-final": { status: 409, retryable: true, title: "The block is not final yet" },
  "chain-no-agreement": {
    status: 503,
    retryable: true,
    title: "Too few endpoints of the chain agree on an answer",
  },
  "chain-id-mismatch": {
    status: 500,
    retryable: false,
    title: "An endpoint belongs to another chain than the configuration says",
  },
  "chain-replaced": {
    status: 500,
    retryable: false,
    title: "The chain has another first block than the one that was there before",
  },
  "chain-doubtful": {
    status: 503,
    retryable: true,
    title: "The chain was shown with another first or final block than before; it is waited for until that is decided",
  },
  "reorg-too-deep": {
    status: 500,
    retryable: false,
    title: "The chain dropped blocks that counted as final; an operator has to decide",
  },
  "reindex-refused": {
    status: 409,
    retryable: false,
    title: "The chain cannot be read again from this block",
  },
  "call-reverted": { status: 422, retryable: false, title: "The call reverts" },
  "transaction-refused": { status: 422, retryable: true, title: "The chain did not accept the transaction" },
  "account-unknown": { status: 422, retryable: false, title: "There is no managed account of this name" },
  "signer-unreachable": {
    status: 503,
    retryable: true,
    title: "The remote signer of an account did not answer in time; nothing was signed",
  },
  "signer-refused": { status: 502, retryable: true, title: "The remote signer of an account did not want to sign" },
  "signer-wrong": {
    status: 502,
    retryable: true,
    title: "The remote signer of an account signed something else, or with another key; it is not used",
  },
  "database-unreachable": { status: 503, retryable: true, title: "The database does not answer" },
  "database-rule": { status: 500, retryable: false, title: "A transaction was used in a way that could hang or lie" },
  "database-newer": {
    status: 500,
    retryable: false,
    title: "The database was changed by another version of this program than the one running",
  },
  "database-not-empty": {
    status: 409,
    retryable: false,
    title: "The database has tables of the service already: a backup is restored into an empty one",
  },
  "database-replaced": {
    status: 503,
    retryable: true,
    title: "The database is another one than when the process started: it has to start again",
  },
  "database-in-use": { status: 409, retryable: false, title: "Processes of the service are connected to the database" },
  "backup-invalid": {
    status: 422,
    retryable: false,
    title: "The file is no backup, not as it was written, or made under another sealing key",
  },
  "backup-unwritable": {
    status: 422,
    retryable: false,
    title: "The backup cannot be written where it was asked for",
  },
  restoring: {
    status: 503,
    retryable: true,
    title: "The database was restored from a backup and is not at one with the chains yet: nothing is taken on or sent",
  },
  "queue-unreachable": { status: 503, retryable: true, title: "The work queue does not take jobs" },
  "data-folder-in-use": { status: 500, retryable: false, title: "Another process works on the same data folder" },
  "event-unknown": { status: 500, retryable: false, title: "An event of a type that nobody registered" },
  "event-invalid": { status: 500, retryable: false, title: "An event does not fit the schema of its type" },
  "chain-unknown": { status: 422, retryable: false, title: "There is no chain of this name" },
  "chain-exists": { status: 409, retryable: false, title: "There is a chain of this name or id already" },
  "chain-paused": { status: 409, retryable: true, title: "The chain is paused: nothing new is taken on for it" },
  "chain-in-use": { status: 409, retryable: true, title: "Something unfinished needs the chain" },
  "setting-fixed": { status: 422, retryable: false, title: "The setting cannot be changed once the chain is known" },
  "endpoint-refused": { status: 422, retryable: false, title: "An endpoint serves another chain than it is named for" },
  "contract-mismatch": {
    status: 422,
    retryable: false,
    title: "A contract is not there, or does not know what it should",
  },
  "balance-insufficient": { status: 422, retryable: true, title: "An account does not hold what the request needs" },
  "token-invalid": { status: 422, retryable: false, title: "The address is not a token on this chain" },
  "timelocks-unsafe": { status: 422, retryable: false, title: "With these timelocks an honest party could lose" },
  "hashlock-used": { status: 422, retryable: false, title: "The hashlock was used before, so its secret may be known" },
  "signature-invalid": {
    status: 422,
    retryable: false,
    title: "The signature is not one by the account it should be by",
  },
  "allowance-missing": { status: 409, retryable: true, title: "The sender has not allowed its tokens to be moved" },
  "secret-wrong": { status: 422, retryable: false, title: "The secret does not fit the hashlock" },
  halted: { status: 409, retryable: true, title: "An operator has halted locks that this would need" },
  "swap-not-waiting": { status: 409, retryable: false, title: "The swap has no use for this any more, or never had" },
  "swap-not-ready": { status: 409, retryable: true, title: "The swap has no use for this yet" },
  "pair-unknown": { status: 422, retryable: false, title: "The desk does not trade these two assets" },
  "amount-out-of-range": { status: 422, retryable: false, title: "The amount is below or above what the desk trades" },
  "price-unavailable": { status: 503, retryable: true, title: "There is no price, or none that is young enough" },
  "price-moved": { status: 409, retryable: true, title: "At the present price the desk gives less" },
  "inventory-insufficient": { status: 409, retryable: true, title: "The desk does not have that much to give now" },
  "limit-reached": { status: 409, retryable: true, title: "The desk's open swaps are at a limit" },
  "quote-invalid": { status: 422, retryable: false, title: "The quote was not made by this service, or was changed" },
  "quote-expired": { status: 409, retryable: false, title: "The quote's time is over" },
  "quote-used": { status: 409, retryable: false, title: "The quote made a swap already" },
  "swap-not-claimable": {
    status: 409,
    retryable: true,
    title: "The swap is not yet at a point where a leg can be claimed",
  },
  "swap-not-refundable": { status: 409, retryable: true, title: "No leg of the swap can be refunded yet" },
  "swap-over": { status: 409, retryable: false, title: "The swap is past the point where this could be done" },
  "watchtower-off": {
    status: 409,
    retryable: false,
    title: "This service watches no locks of others: `swap.watchtower` is not configured",
  },
  "watchtower-full": { status: 503, retryable: true, title: "As many locks are watched as the configuration allows" },
  "tip-too-low": {
    status: 422,
    retryable: true,
    title: "The lock's tip does not cover the gas of a claim, and its token is not on the list",
  },
  "tip-missing": { status: 422, retryable: false, title: "The lock has no tip, and its token is not on the list" },
  "lock-ended": { status: 409, retryable: false, title: "The lock was claimed or refunded already" },
  "lock-of-swap": { status: 409, retryable: false, title: "The lock is a leg of a swap of this service" },
  "chain-time-off": { status: 503, retryable: true, title: "A chain's time is off by more than its bound" },
  "secret-missing": { status: 500, retryable: false, title: "The secret of a swap is not kept here, or does not open" },
  "port-taken": { status: 500, retryable: false, title: "A port that is needed is taken" },
  "network-stale": {
    status: 500,
    retryable: false,
    title: "The data belongs to local chains that are gone",
  },
  "lane-unknown": { status: 422, retryable: false, title: "No messages are carried between these chains" },
  "lane-exists": { status: 409, retryable: false, title: "The lane is served already" },
  "lane-paused": { status: 409, retryable: true, title: "The lane is paused: nothing is delivered over it" },
  "lane-in-use": { status: 409, retryable: true, title: "Messages of the lane have no final outcome yet" },
  "lane-broken": {
    status: 500,
    retryable: false,
    title: "The messages of a lane do not follow each other; an operator has to decide",
  },
  "start-block-too-high": {
    status: 500,
    retryable: false,
    title: "A lane is older than the block from which its chain is read; `startBlock` has to be lowered",
  },
  "logs-missing": {
    status: 503,
    retryable: true,
    title: "A chain's endpoint left out logs of earlier blocks; they are read again",
  },
  "gas-limit-too-high": {
    status: 422,
    retryable: false,
    title: "The lane does not carry messages with a gas limit this high",
  },
  "payload-too-long": { status: 422, retryable: false, title: "The lane does not carry payloads this long" },
  "message-not-failed": {
    status: 409,
    retryable: true,
    title: "Only a message that failed can be retried or abandoned; this one is still on its way",
  },
  "message-ended": {
    status: 409,
    retryable: false,
    title: "The message has its final outcome: there is nothing to retry or abandon",
  },
  "attestation-refused": {
    status: 422,
    retryable: false,
    title: "The attestation does not come from a known validator for a known lane",
  },
  "attestation-disagrees": {
    status: 409,
    retryable: false,
    title: "The attestation contradicts the messages of its lane or an earlier one of its signer",
  },
  "checkpoint-unavailable": {
    status: 409,
    retryable: true,
    title: "The validator has nothing final to sign for this lane yet",
  },
  "validator-halted": {
    status: 503,
    retryable: false,
    title: "The validator stopped for good: what it signed contradicts a final block",
  },
  "service-unreachable": { status: 503, retryable: true, title: "The service does not answer" },
  "service-answer-invalid": {
    status: 502,
    retryable: false,
    title: "The service gave an answer that does not fit its own description",
  },
  "usage-invalid": { status: 400, retryable: false, title: "The command was not used as its help tells" },
  "wait-timeout": { status: 504, retryable: true, title: "What was waited for has not come in time" },
  "lock-unverified": {
    status: 422,
    retryable: false,
    title: "The lock that pays is not as it was asked for, or not in a final block",
  },
  "event-position-unknown": {
    status: 422,
    retryable: false,
    title: "No event has this position: the database is another one than it came from",
  },
  "archive-unreachable": {
    status: 503,
    retryable: true,
    title: "Where archived files are cannot be reached",
  },
  "archive-damaged": {
    status: 500,
    retryable: false,
    title: "An archived file is missing, or not what was written",
  },
  "event-position-gone": { status: 410, retryable: false, title: "Events after this position are not kept any more" },
  "event-position-lost": {
    status: 410,
    retryable: false,
    title: "Events up to this position were lost with a database; `restoredTo` is the last that the backup had",
  },
  "streams-full": { status: 503, retryable: true, title: "As many streams are open as the configuration allows" },
  "too-many-streams": {
    status: 429,
    retryable: true,
    title: "The caller has as many streams open as the configuration allows one caller",
  },
  "reader-too-slow": { status: 503, retryable: true, title: "The reader of a stream does not keep up with it" },
  "stream-expired": { status: 503, retryable: true, title: "The stream has reached its age; open it again" },
  "url-refused": { status: 422, retryable: false, title: "This service sends nothing to such a URL" },
  "receiver-failed": { status: 502, retryable: true, title: "The receiver of a webhook did not take an event" },
  "webhooks-full": { status: 409, retryable: false, title: "There are as many webhooks as the configuration allows" },
  "shutting-down": { status: 503, retryable: true, title: "The process is stopping" },
} as const satisfies Record<string, ErrorRow>;

export type ErrorRow = { readonly status: number; readonly retryable: boolean; readonly title: string };
export type ErrorCode = keyof typeof errorTable;

export type ErrorDetails = Readonly<Record<string, string | number | boolean | bigint | readonly string[] | undefined>>;

/**
 * The root of every error this project throws on purpose.
 * `message` is for people and names what was expected; `details` is typed data, `details.field` the JSON path at
 * fault where there is one. Never put keys, secrets, preimages or calldata in either.
 */
export class LockstepError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "LockstepError";
    this.code = code;
    this.details = options.details ?? {};
    this.retryable = errorTable[code].retryable;
  }
}

/** True for an error of this project, optionally of one code. */
export function isLockstepError(error: unknown, code?: ErrorCode): error is LockstepError {
  return error instanceof LockstepError && (code === undefined || error.code === code);
}

/** The decision about retry, in one place: unknown errors are retried, ours say so themselves. */
export function isRetryable(error: unknown): boolean {
  return error instanceof LockstepError ? error.retryable : true;
}
