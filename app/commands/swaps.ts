import type { Hex } from "#core/kernel/codec.ts";
import { toJson } from "#core/kernel/json.ts";
import type { CallOptions, Swap, SwapOrder } from "../client/index.ts";
import { createSecret } from "../client/index.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { paint, print, table } from "../terminal.ts";
import { parseLeg, parseParty } from "./assets.ts";
import * as specs from "./clientSpecs.ts";
import { type Connection, connect } from "./connect.ts";
import { type Outcome, paintStatus, showOne, stepLine } from "./follow.ts";
import { firstOf } from "./messages.ts";
import { type CommandValues, countOption, readOptions, usageError } from "./options.ts";
import { secretOf } from "./secretFile.ts";
import type { lockSteps } from "./words.ts";

export async function runSwapRequest(args: readonly string[]): Promise<number> {
  const values = readOptions(specs.swapRequestCommand, args);
  return act(values, ({ client, network }) => {
    const order = orderOf(values, network);
    return (options) => client.swaps.request(order, options);
  });
}

export async function runSwapGet(args: readonly string[]): Promise<number> {
  const values = readOptions(specs.swapGetCommand, args);
  return act(values, ({ client }) => {
    return (options) => client.swaps.get(values.id, options);
  });
}

export async function runSwapClaim(args: readonly string[]): Promise<number> {
  const values = readOptions(specs.swapClaimCommand, args);
  const file = values["secret-file"];
  const secret = file === undefined ? undefined : createSecret(secretOf(file));
  return act(values, ({ client }) => {
    return (options) => client.swaps.claim(values.id, secret ? { secret: secret.reveal() } : {}, options);
  });
}

export async function runSwapRefund(args: readonly string[]): Promise<number> {
  const values = readOptions(specs.swapRefundCommand, args);
  return act(values, ({ client }) => {
    return (options) => client.swaps.refund(values.id, options);
  });
}

export async function runSwapApprove(args: readonly string[]): Promise<number> {
  const values = readOptions(specs.swapApproveCommand, args);
  return act(values, ({ client }) => {
    return (options) => client.swaps.approve(values.id, decisionOf(values), options);
  });
}

export async function runSwapReject(args: readonly string[]): Promise<number> {
  const values = readOptions(specs.swapRejectCommand, args);
  return act(values, ({ client }) => {
    return (options) => client.swaps.reject(values.id, decisionOf(values), options);
  });
}

/** The words of an option that names a lock are checked as it is read. */
const decisionOf = ({ step, reason }: Pick<CommandValues<typeof specs.swapApproveCommand>, "step" | "reason">) => ({
  ...(step !== undefined && { step: step as (typeof lockSteps)[number] }),
  ...(reason !== undefined && { reason }),
});

export async function runSwapList(args: readonly string[]): Promise<number> {
  const { status, chain, account, limit, json, ...where } = readOptions(specs.swapListCommand, args);
  const { client, url } = connect(where);
  const most = countOption("--limit", limit);
  return interruptible(async (signal) => {
    const query = {
      ...(status !== undefined && { status: status as Swap["status"] }),
      ...(chain !== undefined && { chain }),
      ...(account !== undefined && { account }),
      limit: Math.min(most, 100),
    };
    const swaps: Swap[] = await during(`asking ${url}`, firstOf(client.swaps.each(query, { signal }), most));
    if (json) print(toJson({ swaps }));
    else if (swaps.length === 0) print("there are no swaps that fit");
    else {
      const rows = swaps.map(({ id, status, source, target, createdAt, reason }) => {
        return [id, status, legWords(source), legWords(target), createdAt, reason.message];
      });
      print(table(["swap", "status", "source", "target", "since", "reason"], rows));
    }
    return 0;
  });
}

type Values = {
  readonly json: boolean;
  readonly wait: boolean;
  readonly timeout: string;
  readonly url: string | undefined;
  readonly "token-file": string | undefined;
  readonly "data-dir": string;
};
type Ask = (options: CallOptions) => Promise<Swap>;

/** Asks something that answers with a swap, and shows that or follows it. */
async function act(values: Values, prepare: (connection: Connection) => Ask): Promise<number> {
  const connection = connect(values);
  const ask = prepare(connection);
  return interruptible(async (signal) => {
    const swap = await during(`asking ${connection.url}`, ask({ signal }));
    return showSwap(swap, values, connection, signal);
  });
}

/** Shows a swap, and follows it to its end where that is asked for. */
export function showSwap(
  swap: Swap,
  values: Pick<Values, "json" | "wait" | "timeout">,
  { client }: Pick<Connection, "client">,
  signal: AbortSignal,
): Promise<number> {
  return showOne<Swap>(swap, values, {
    describe: describeSwap,
    outcomeOf,
    until: (done, timeoutMs) => client.swaps.until(swap.id, done, { timeoutMs, signal }),
  });
}

const bad: readonly string[] = ["refunded", "failed", "initiatorLost", "counterpartyLost"] satisfies Swap["status"][];

const outcomeOf = ({ status }: Pick<Swap, "status">): Outcome =>
  status === "completed" ? "good" : bad.includes(status) ? "bad" : undefined;

function orderOf(values: CommandValues<typeof specs.swapRequestCommand>, network: Connection["network"]): SwapOrder {
  const { source, target, initiator, counterparty, hashlock, quote, minimum } = values;
  if (initiator === undefined) throw usageError("expected --initiator");
  if (quote === undefined && [source, target, counterparty].includes(undefined))
    throw usageError("expected --source, --target and --counterparty, or --quote");
  if (minimum !== undefined && !/^\d{1,78}$/.test(minimum)) throw usageError("--minimum: expected a whole number");
  const [seconds, targetSeconds] = [values["source-seconds"], values["target-seconds"]];
  if ((seconds === undefined) !== (targetSeconds === undefined))
    throw usageError("expected both --source-seconds and --target-seconds, or neither");
  return {
    ...(source !== undefined && { source: parseLeg("source", source, network) }),
    ...(target !== undefined && { target: parseLeg("target", target, network) }),
    initiator: parseParty(initiator),
    ...(counterparty !== undefined && { counterparty: parseParty(counterparty) }),
    ...(hashlock !== undefined && { hashlock: hashlock as Hex }),
    ...(quote !== undefined && { quote }),
    ...(minimum !== undefined && { minimum: BigInt(minimum) }),
    ...(seconds !== undefined &&
      targetSeconds !== undefined && {
        timelocks: {
          source: countOption("--source-seconds", seconds),
          target: countOption("--target-seconds", targetSeconds),
        },
      }),
  };
}

type Leg = Pick<Swap["source"], "chain" | "asset" | "amount">;

/** An asset as the short form has it. */
export function legWords({ chain, asset, amount }: Leg): string {
  if (asset.type === "native") return `${chain}:native:${amount}`;
  const item = "tokenId" in asset ? `:${asset.tokenId}` : "";
  const kind = asset.type === "erc20" ? "" : `${asset.type}:`;
  return `${chain}:${kind}${asset.address}${item}:${amount}`;
}

function describeSwap(swap: Swap, steps: boolean): string {
  const { id, status, reason, hashlock, source, target, next, timeline } = swap;
  return [
    `${paint("bold", id)}  ${paintStatus(status, outcomeOf(swap))}`,
    `  ${reason.code}: ${reason.message}`,
    `  hashlock  ${hashlock}`,
    `  source    ${legWords(source)}  ${partyWords(swap.initiator)} → ${partyWords(swap.counterparty)}  ${legState(source)}`,
    `  target    ${legWords(target)}  ${partyWords(swap.counterparty)} → ${partyWords(swap.initiator)}  ${legState(target)}`,
    ...(next
      ? [`  next      ${next.action} by the ${next.by}, safe until ${timeOf(next.until)}; --json has it ready`]
      : []),
    ...(steps ? timeline.map(stepLine) : []),
  ].join("\n");
}

const partyWords = (party: Swap["initiator"]): string => ("account" in party ? party.account : party.source);
const legState = ({ state, timelock }: Swap["source"]): string => `${state}, refundable from ${timeOf(timelock)}`;

/** Unix seconds for people. */
export const timeOf = (seconds: bigint): string =>
  new Date(Math.min(Number(seconds), 253_402_300_799) * 1_000).toISOString();
