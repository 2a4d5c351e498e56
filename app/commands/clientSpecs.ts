import { command } from "./options.ts";
import { defaultDataDir, json } from "./specs.ts";
import { eventKinds, lockSteps, messageStatuses, swapStatuses } from "./words.ts";

/** How commands find the service that they ask. */
const service = {
  url: { what: "of the service; that of the local network when left out", value: "URL" },
  "token-file": { what: "file with the token or API key", value: "FILE" },
  "data-dir": { what: "folder of the local network", value: "FOLDER", fallback: defaultDataDir },
  ...json,
} as const;

const follow = {
  wait: { what: "follow it to its end" },
  timeout: { what: "seconds to follow it for at most", value: "SECONDS", fallback: "3600" },
} as const;

const page = {
  limit: { what: "how many at most", value: "COUNT", fallback: "20" },
} as const;

const decision = {
  step: { what: "one lock; all that are still to be made when left out", value: "STEP", words: lockSteps },
  reason: { what: "why, for the record", value: "TEXT" },
} as const;

const messageId = { id: { what: "the message's id, here or on its chains", value: "ID" } } as const;
const swapId = { id: { what: "the swap's id, hashlock or a lock id", value: "ID" } } as const;
const asset =
  "CHAIN:native:AMOUNT, CHAIN:0xTOKEN:AMOUNT, CHAIN:erc721:0xTOKEN:ID or CHAIN:erc1155:0xTOKEN:ID:AMOUNT; amounts in smallest units";
const party = "a managed account, or an address, or 0xSOURCE,0xTARGET";

export const messageSendCommand = command({
  name: "message send",
  summary: "send a message from one chain to another",
  arguments: {
    origin: { what: "chain that it is sent on", value: "ORIGIN" },
    destination: { what: "chain that it goes to", value: "DESTINATION" },
  },
  options: {
    to: { what: "contract that takes it; the local network's recorder when left out", value: "ADDRESS" },
    payload: { what: "what it carries, as 0x-prefixed hex", value: "HEX" },
    text: { what: "what it carries, as text", value: "TEXT" },
    "gas-limit": { what: "gas that the recipient gets", value: "GAS" },
    account: { what: "managed account that sends it", value: "NAME" },
    ...follow,
    ...service,
  },
  examples: [
    'message send alpha beta --text "hello" --wait',
    "message send alpha beta --to 0x5FbDB2315678afecb367f032d93F642f64180aa3 --payload 0x68656c6c6f --json",
  ],
});

export const messageGetCommand = command({
  name: "message get",
  summary: "tell where a message is, and why",
  arguments: messageId,
  options: { ...follow, ...service },
  examples: ["message get 0198f3b2-0000-7000-8000-000000000000", "message get ID --wait"],
});

export const messageListCommand = command({
  name: "message list",
  summary: "list messages, newest first",
  options: {
    origin: { what: "only from this chain", value: "CHAIN" },
    destination: { what: "only to this chain", value: "CHAIN" },
    status: { what: "only of this status", value: "STATUS", words: messageStatuses },
    ...page,
    ...service,
  },
  examples: ["message list", "message list --status failed --limit 100 --json"],
});

export const messageRetryCommand = command({
  name: "message retry",
  summary: "execute a failed message again",
  arguments: messageId,
  options: { ...follow, ...service },
  examples: ["message retry ID --wait"],
});

export const swapRequestCommand = command({
  name: "swap request",
  summary: "request a swap",
  options: {
    source: { what: `what the initiator gives: ${asset}`, value: "ASSET" },
    target: { what: "what the counterparty gives, in the same form", value: "ASSET" },
    initiator: { what: `who gives the source: ${party}`, value: "PARTY" },
    counterparty: { what: "who gives the target, in the same form", value: "PARTY" },
    hashlock: { what: "SHA-256 of the secret of an initiator that is no managed account", value: "HASH" },
    quote: { what: "take this quote of the desk; leaves out source, target and counterparty", value: "QUOTE" },
    minimum: { what: "of the desk: the least target amount to be content with", value: "AMOUNT" },
    "source-seconds": { what: "until the source leg can be refunded; a safe time when left out", value: "SECONDS" },
    "target-seconds": { what: "the same for the target leg; both or neither", value: "SECONDS" },
    ...follow,
    ...service,
  },
  examples: [
    "swap request --source alpha:native:1000000000000000000 --target beta:token:2500000000 --initiator alice --counterparty bob --wait",
    "swap request --quote QUOTE --initiator alice --json",
  ],
});

export const swapGetCommand = command({
  name: "swap get",
  summary: "tell where a swap is, and why",
  arguments: swapId,
  options: { ...follow, ...service },
  examples: ["swap get ID", "swap get ID --wait --json"],
});

export const swapListCommand = command({
  name: "swap list",
  summary: "list swaps, newest first",
  options: {
    status: { what: "only of this status", value: "STATUS", words: swapStatuses },
    chain: { what: "only with a leg on this chain", value: "CHAIN" },
    account: { what: "only those that this managed account sends for", value: "NAME" },
    ...page,
    ...service,
  },
  examples: ["swap list", "swap list --status refunding --limit 100 --json"],
});

export const swapClaimCommand = command({
  name: "swap claim",
  summary: "take the next claim of a swap now",
  arguments: swapId,
  options: {
    "secret-file": { what: "file with the secret of an external initiator, so that the service claims", value: "FILE" },
    ...follow,
    ...service,
  },
  examples: ["swap claim ID", "swap claim ID --secret-file secret.txt --wait"],
});

export const swapRefundCommand = command({
  name: "swap refund",
  summary: "refund what can be refunded of a swap now",
  arguments: swapId,
  options: { ...follow, ...service },
  examples: ["swap refund ID --wait"],
});

export const swapApproveCommand = command({
  name: "swap approve",
  summary: "let the locks of a swap be made that wait for it",
  arguments: swapId,
  options: { ...decision, ...follow, ...service },
  examples: ["swap approve ID", "swap approve ID --step lock-source"],
});

export const swapRejectCommand = command({
  name: "swap reject",
  summary: "give a swap up before it is locked further; what is locked is refunded",
  arguments: swapId,
  options: { ...decision, ...follow, ...service },
  examples: ['swap reject ID --reason "limit of the day"'],
});

export const quoteCommand = command({
  name: "quote",
  summary: "ask the desk what it would give or want, and take it with --accept",
  options: {
    source: { what: `what the taker gives: ${asset}, the amount on one of the two sides`, value: "ASSET" },
    target: { what: "what the desk gives, in the same form", value: "ASSET" },
    accept: { what: "make the swap at once" },
    initiator: { what: `who takes it: ${party}`, value: "PARTY" },
    hashlock: { what: "SHA-256 of the secret of an initiator that is no managed account", value: "HASH" },
    ...follow,
    ...service,
  },
  examples: [
    "quote --source alpha:native:1000000000000000000 --target beta:token",
    "quote --source alpha:native --target beta:token:2500000000 --accept --initiator alice --wait",
  ],
});

export const watchCommand = command({
  name: "watch",
  summary: "have a lock of others driven to its end",
  arguments: {
    chain: { what: "chain that it is on", value: "CHAIN" },
    lockId: { what: "its id there: the hash of its terms", value: "LOCKID" },
  },
  options: { ...follow, ...service },
  examples: [`watch alpha 0x${"ab".repeat(32)} --wait`],
});

export const instanceListCommand = command({
  name: "instance list",
  summary: "list the processes of the service, and what each does",
  options: { all: { what: "those that have ended as well" }, ...service },
  examples: ["instance list", "instance list --all --json"],
});

export const instanceDrainCommand = command({
  name: "instance drain",
  summary: "ask a process to give its work to the others, before it is stopped",
  arguments: { id: { what: "the instance's id", value: "ID" } },
  options: { ...service },
  examples: ["instance drain 0b6f4f0e-6c39-4f0e-9f5e-3a8f3f6f1c52"],
});

export const restoreShowCommand = command({
  name: "restore show",
  summary: "tell what a restore from a backup still keeps the service from doing",
  options: { ...service },
  examples: ["restore show"],
});

export const restoreReleaseCommand = command({
  name: "restore release",
  summary: "have the service send again after a restore, whatever is still waited for",
  options: { ...service },
  examples: ["restore release"],
});

export const eventsCommand = command({
  name: "events",
  summary: "print what happens as it happens, each event once, until interrupted",
  options: {
    after: { what: "id of the last event that is known, 0 for all; from now on when left out", value: "ID" },
    kind: { what: "only of these kinds, with commas in between", value: "KINDS", words: eventKinds, many: true },
    type: { what: "only of these types, with commas in between", value: "TYPES" },
    subject: { what: "only what happens to it, such as the id of a swap", value: "ID" },
    chain: { what: "only what concerns this chain", value: "CHAIN" },
    lane: { what: "only messages of this lane, such as alpha→beta", value: "LANE" },
    count: { what: "end after this many", value: "COUNT" },
    ...service,
  },
  examples: ["events", "events --after 0 --kind swap --json", "events --subject ID --count 1"],
});
