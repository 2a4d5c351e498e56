import { exitMend } from "../exitCodes.ts";
import type { Child } from "./children.ts";

/** A process of a network that can be stopped, killed and started again. */
export type Unit = {
  readonly name: string;
  /** Resolves when it is ready; `env` is added to its environment for this one start. */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
  /** However it ends from now on, it is not started again. */
  leave(): void;
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the process that runs now has ended, with the signal that ended it if one did. */
  ended(): Promise<NodeJS.Signals | undefined>;
};

const restartMs = 1_000;
const longestRestartMs = 30_000;

export function createUnit(options: {
  name: string;
  keepAlive: boolean;
  say(line: string): void;
  launch(env: Readonly<Record<string, string>>): Promise<Child>;
}): Unit {
  let child: Child | undefined;
  let wanted = false;

  async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    wanted = true;
    const started = await options.launch(env);
    child = started;
    // It was stopped meanwhile, when there was nothing yet that could be.
    if (!wanted) return started.stop();
    if (options.keepAlive) void started.ended.then(({ code, signal }) => revive(code, signal ?? `status ${code}`));
  }

  async function revive(code: number | null, how: string): Promise<void> {
    if (!wanted) return;
    if (code === exitMend) return options.say(`${options.name} stopped and needs a person; see its log`);
    options.say(`${options.name} ended by itself (${how}); starting it again`);
    for (let delay = restartMs; wanted; delay = Math.min(delay * 2, longestRestartMs)) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (!wanted) return;
      try {
        return await start();
      } catch (error) {
        options.say(`${options.name} did not start: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  return {
    name: options.name,
    start,
    async stop() {
      wanted = false;
      await child?.stop();
    },
    leave() {
      wanted = false;
    },
    async kill() {
      wanted = false;
      child?.process.kill("SIGKILL");
      await child?.ended;
    },
    signal: (signal) => void child?.process.kill(signal),
    ended: async () => (await child?.ended)?.signal ?? undefined,
  };
}
