import { enableCompileCache } from "node:module";
import { isLockstepError } from "#core/kernel/errors.ts";
import { exitMend, exitUsage } from "./exitCodes.ts";
import { print, printError } from "./terminal.ts";

/** A command gets its own arguments and answers with the exit code. */
type Command = (args: readonly string[]) => Promise<number>;

const commands: Readonly<Record<string, { what: string; load: () => Promise<Command> }>> = {
  network: {
    what: "run two local chains, three validators and the service",
    load: async () => (await import("./commands/network.ts")).runNetwork,
  },
  demo: {
    what: "run a network, send messages and swaps, print what happened",
    load: async () => (await import("./commands/demo.ts")).runDemo,
  },
  service: {
    what: "run the service: --config FILE",
    load: async () => (await import("./commands/service.ts")).runService,
  },
  recover: {
    what: "finish the locks of managed accounts from the chains alone: --config FILE [--dry-run] [--once] [--json]",
    load: async () => (await import("./commands/recover.ts")).runRecover,
  },
  validator: {
    what: "run a validator: --config FILE [--resume]",
    load: async () => (await import("./commands/validator.ts")).runValidator,
  },
};

// A network is half a dozen processes of the same code: the second one on finds it compiled.
enableCompileCache();

const [name = "", ...args] = process.argv.slice(2);
process.exitCode = await run(name, args);

async function run(name: string, args: readonly string[]): Promise<number> {
  const command = commands[name];
  if (!command) {
    const asked = ["--help", "-h", "help"].includes(name);
    const lines = Object.entries(commands).map(([each, { what }]) => `  ${each.padEnd(10)} ${what}`);
    const usage = ["usage: node app/main.ts COMMAND [OPTIONS]", ...lines].join("\n");
    if (asked) print(usage);
    else printError(usage);
    return asked ? 0 : exitUsage;
  }
  try {
    return await (await command.load())(args);
  } catch (error) {
    if (isUsage(error)) {
      printError(`${name}: ${error.message}`);
      return exitUsage;
    }
    if (!isLockstepError(error)) throw error;
    printError(`${error.code}: ${error.message}`);
    return error.retryable ? 1 : exitMend;
  }
}

function isUsage(error: unknown): error is Error {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
