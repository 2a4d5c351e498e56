import { stringToHex } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { toJson } from "#core/kernel/json.ts";
import type { Message, MessageOrder } from "../client/index.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { paint, print, table } from "../terminal.ts";
import { messageGetCommand, messageListCommand, messageRetryCommand, messageSendCommand } from "./clientSpecs.ts";
import { type Connection, connect } from "./connect.ts";
import { type Outcome, paintStatus, showOne, stepLine } from "./follow.ts";
import { type CommandValues, countOption, readOptions, usageError } from "./options.ts";

export async function runMessageSend(args: readonly string[]): Promise<number> {
  const values = readOptions(messageSendCommand, args);
  const connection = connect(values);
  const order = orderOf(values, connection);
  return interruptible(async (signal) => {
    const sent = await during(`asking ${connection.url}`, connection.client.messages.send(order, { signal }));
    return show(sent, values, connection, signal);
  });
}

export async function runMessageGet(args: readonly string[]): Promise<number> {
  const values = readOptions(messageGetCommand, args);
  const connection = connect(values);
  return interruptible(async (signal) => {
    const found = await during(`asking ${connection.url}`, connection.client.messages.get(values.id, { signal }));
    return show(found, values, connection, signal);
  });
}

export async function runMessageRetry(args: readonly string[]): Promise<number> {
  const values = readOptions(messageRetryCommand, args);
  const connection = connect(values);
  return interruptible(async (signal) => {
    const retried = await during(`asking ${connection.url}`, connection.client.messages.retry(values.id, { signal }));
    return show(retried, values, connection, signal);
  });
}

export async function runMessageList(args: readonly string[]): Promise<number> {
  const { origin, destination, status, limit, json, ...where } = readOptions(messageListCommand, args);
  const { client, url } = connect(where);
  const most = countOption("--limit", limit);
  return interruptible(async (signal) => {
    const query = {
      ...(origin !== undefined && { origin }),
      ...(destination !== undefined && { destination }),
      ...(status !== undefined && { status: status as Message["status"] }),
      limit: Math.min(most, 100),
    };
    const messages: Message[] = await during(`asking ${url}`, firstOf(client.messages.each(query, { signal }), most));
    if (json) print(toJson({ messages }));
    else if (messages.length === 0) print("there are no messages that fit");
    else {
      const rows = messages.map((each) => [each.id, each.lane, each.status, each.createdAt, each.reason.message]);
      print(table(["message", "lane", "status", "since", "reason"], rows));
    }
    return 0;
  });
}

/** The first so many of a list that is read page by page. */
export async function firstOf<T>(all: AsyncIterable<T>, most: number): Promise<T[]> {
  const found: T[] = [];
  for await (const each of all) if (found.push(each) >= most) break;
  return found;
}

function orderOf(values: CommandValues<typeof messageSendCommand>, { network }: Connection): MessageOrder {
  const { origin, destination, to, payload, text, "gas-limit": gas, account } = values;
  if ((payload === undefined) === (text === undefined)) throw usageError("expected either --payload or --text");
  const recipient = to ?? network?.chains[destination]?.recorder;
  if (recipient === undefined) throw usageError("expected --to: only a local network has a recorder of its own");
  if (gas !== undefined && !/^\d{1,20}$/.test(gas)) throw usageError("--gas-limit: expected a whole number");
  return {
    ...{ origin, destination, recipient: recipient as Hex },
    payload: payload === undefined ? stringToHex(text ?? "") : (payload as Hex),
    ...(gas !== undefined && { gasLimit: BigInt(gas) }),
    ...(account !== undefined && { account }),
  };
}

type Values = { readonly json: boolean; readonly wait: boolean; readonly timeout: string };

function show(message: Message, values: Values, { client }: Connection, signal: AbortSignal): Promise<number> {
  return showOne<Message>(message, values, {
    describe: describeMessage,
    outcomeOf,
    until: (done, timeoutMs) => client.messages.until(message.id, done, { timeoutMs, signal }),
  });
}

const outcomeOf = ({ status }: Pick<Message, "status">): Outcome =>
  status === "delivered" ? "good" : status === "failed" || status === "dropped" ? "bad" : undefined;

function describeMessage(message: Message, steps: boolean): string {
  const { id, onchainId, status, reason, lane, nonce, recipient, timeline } = message;
  const place = nonce === undefined ? lane : `${lane} #${nonce}`;
  return [
    `${paint("bold", id)}  ${paintStatus(status, outcomeOf(message))}`,
    `  ${place}, to ${recipient}${onchainId === undefined ? "" : `, on chain ${onchainId}`}`,
    `  ${reason.code}: ${reason.message}`,
    ...(steps ? timeline.map(stepLine) : []),
  ].join("\n");
}
