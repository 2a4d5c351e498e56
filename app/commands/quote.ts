import type { Hex } from "#core/kernel/codec.ts";
import { toJson } from "#core/kernel/json.ts";
import type { Quote } from "../client/index.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { paint, print } from "../terminal.ts";
import { parseParty, parseSide } from "./assets.ts";
import { quoteCommand } from "./clientSpecs.ts";
import { connect } from "./connect.ts";
import { readOptions, usageError } from "./options.ts";
import { legWords, showSwap, timeOf } from "./swaps.ts";

/** Asks the desk, and with `--accept` makes the swap of its answer. */
export async function runQuote(args: readonly string[]): Promise<number> {
  const values = readOptions(quoteCommand, args);
  const { source, target, accept, initiator, hashlock, json } = values;
  if (source === undefined || target === undefined) throw usageError("expected --source and --target");
  if (accept && initiator === undefined) throw usageError("--accept: expected --initiator, who takes the quote");
  if (!accept && (initiator !== undefined || values.wait)) throw usageError("--initiator and --wait go with --accept");
  const connection = connect(values);
  const { client, network, url } = connection;
  const wanted = { source: parseSide("source", source, network), target: parseSide("target", target, network) };
  if ((wanted.source.amount === undefined) === (wanted.target.amount === undefined))
    throw usageError("expected an amount on one of the two sides");
  return interruptible(async (signal) => {
    const quote = await during(`asking ${url}`, client.quotes.request(wanted as never, { signal }));
    if (!accept || initiator === undefined) {
      print(json ? toJson(quote) : describe(quote));
      return 0;
    }
    if (!json) print(describe(quote));
    const order = { quote: quote.quote, initiator: parseParty(initiator), ...(hashlock !== undefined && { hashlock }) };
    const swap = await during(
      `asking ${url}`,
      client.swaps.request(order as typeof order & { hashlock?: Hex }, { signal }),
    );
    return showSwap(swap, values, connection, signal);
  });
}

function describe({ quote, source, target, fee, expiresAt, counterparty }: Quote): string {
  return [
    `${paint("bold", legWords(source))}  for  ${paint("bold", legWords(target))}`,
    `  by ${counterparty.account}, fee ${fee} of the target asset, good until ${timeOf(expiresAt)}`,
    `  quote  ${quote}`,
  ].join("\n");
}
