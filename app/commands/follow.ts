import { toJson } from "#core/kernel/json.ts";
import { exitUnlike } from "../exitCodes.ts";
import { paint, print, printError, showStatus } from "../terminal.ts";
import { countOption } from "./options.ts";

/** Something that goes through steps and tells them. */
export type Timelined = {
  readonly status: string;
  readonly reason: { readonly code: string; readonly message: string };
  readonly timeline: readonly {
    readonly at: string;
    readonly what: string;
    readonly chain?: string | undefined;
    readonly leg?: string | undefined;
    readonly transactionHash?: string | undefined;
    readonly detail?: string | undefined;
  }[];
};

/** How an end of something is to be taken; undefined before it is one. */
export type Outcome = "good" | "bad" | undefined;

type Values = { readonly json: boolean; readonly wait: boolean; readonly timeout: string };

/** How a command shows one thing, and follows it where it is asked to. */
export async function showOne<T extends Timelined>(
  first: T,
  values: Values,
  how: {
    /** With its steps, or without those that were told already. */
    describe(thing: T, steps: boolean): string;
    outcomeOf(thing: T): Outcome;
    until(done: (thing: T) => boolean, timeoutMs: number): Promise<T>;
  },
): Promise<number> {
  const { json, wait } = values;
  if (!wait) {
    print(json ? toJson(first) : how.describe(first, true));
    return 0;
  }
  const last = await follow<T>(json, (tell) =>
    how.until((thing) => {
      const isOver = how.outcomeOf(thing) !== undefined;
      tell(thing, isOver);
      return isOver;
    }, 1_000 * countOption("--timeout", values.timeout)),
  );
  print(json ? toJson(last) : how.describe(last, false));
  return how.outcomeOf(last) === "good" ? 0 : exitUnlike;
}

type Tell = (thing: Timelined, isOver: boolean) => void;

async function follow<T extends Timelined>(json: boolean, run: (tell: Tell) => Promise<T>): Promise<T> {
  try {
    return await run(createTeller(json ? printError : print));
  } finally {
    showStatus("");
  }
}

/** Tells each step once as it comes, and on standard error what is waited for. */
export function createTeller(say: (line: string) => void): Tell {
  let told = 0;
  return ({ status, reason, timeline }, isOver) => {
    for (const entry of timeline.slice(told)) say(stepLine(entry));
    told = Math.max(told, timeline.length);
    if (!isOver) showStatus(`${status}, ${reason.code}: ${reason.message}`);
  };
}

export function stepLine({ at, what, chain, leg, transactionHash, detail }: Timelined["timeline"][number]): string {
  const where = [leg, chain].filter((each) => each !== undefined).join(", ");
  const rest = [where && `(${where})`, detail, transactionHash && paint("dim", transactionHash)].filter(Boolean);
  return `  ${paint("dim", at)}  ${[what, ...rest].join(" ")}`;
}

/** A status in the colour of how it is to be taken. */
export const paintStatus = (status: string, outcome: Outcome): string =>
  paint(outcome === "good" ? "green" : outcome === "bad" ? "red" : "yellow", status);
