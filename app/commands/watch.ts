import { toJson } from "#core/kernel/json.ts";
import type { Lock } from "../client/index.ts";
import { exitUnlike } from "../exitCodes.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { paint, print, printError, showStatus } from "../terminal.ts";
import { watchCommand } from "./clientSpecs.ts";
import { connect } from "./connect.ts";
import { createTeller, stepLine } from "./follow.ts";
import { countOption, readOptions } from "./options.ts";
import { legWords, timeOf } from "./swaps.ts";

/** Has a lock driven to its end by the service, and follows that with `--wait`. */
export async function runWatch(args: readonly string[]): Promise<number> {
  const { chain, lockId, wait, timeout, json, ...where } = readOptions(watchCommand, args);
  const { client, url } = connect(where);
  const timeoutMs = 1_000 * countOption("--timeout", timeout);
  return interruptible(async (signal) => {
    const lock = await during(`asking ${url}`, client.locks.watch(chain, lockId, { signal }));
    if (!wait) {
      print(json ? toJson(lock) : describe(lock));
      return 0;
    }
    const tell = createTeller(json ? printError : print);
    const look = (now: Lock) => {
      if (now.watch) tell({ ...now.watch, status: now.watch.state }, isOver(now));
      return isOver(now);
    };
    const last = await client.locks.until(chain, lockId, look, { timeoutMs, signal });
    showStatus("");
    print(json ? toJson(last) : describe({ ...last, ...(last.watch && { watch: { ...last.watch, timeline: [] } }) }));
    return last.watch?.state === "claimed" || last.watch?.state === "refunded" ? 0 : exitUnlike;
  });
}

const isOver = ({ watch, state }: Lock): boolean => (watch ? watch.state !== "watching" : state !== "open");

function describe({ chain, lockId, state, asset, amount, sender, recipient, timelock, watch }: Lock): string {
  return [
    `${paint("bold", `${chain} ${lockId}`)}  ${watch?.state ?? state}`,
    `  ${legWords({ chain, asset, amount })}  ${sender} → ${recipient}, refundable from ${timeOf(timelock)}`,
    ...(watch ? [`  ${watch.reason.code}: ${watch.reason.message}`, ...watch.timeline.map(stepLine)] : []),
  ].join("\n");
}
