import { join } from "node:path";
import { systemClock } from "../../kernel/clock.ts";
import { isLockstepError } from "../../kernel/errors.ts";
import { openPglite } from "./engine.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { type StartAnswer, type StartMessage, startMessage } from "./protocol.ts";
import { startWireServer } from "./wire.ts";

/**
 * The embedded database's process. It lives as long as the channel to its parent: when that closes, in order or
 * because the parent was killed, it closes the database and ends. Signals to the process group are the parent's
 * business, which still needs its database to stop in order.
 */
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);

const parentGone = new Promise<void>((resolve) => process.once("disconnect", () => resolve()));

process.once("message", (message) => {
  void run(startMessage.parse(message)).then(
    () => process.exit(0),
    (error: unknown) => {
      const code = isLockstepError(error, "data-folder-in-use") ? "data-folder-in-use" : "internal";
      answer({ kind: "failed", code, message: error instanceof Error ? error.message : String(error) }, () =>
        process.exit(1),
      );
    },
  );
});

async function run(start: StartMessage): Promise<void> {
  let lock: FolderLock | undefined;
  if (start.dataDir !== undefined) {
    lock = await lockFolder(start.dataDir, { patienceMs: start.patienceMs, clock: systemClock });
  }
  const engine = await openPglite(start.dataDir === undefined ? undefined : join(start.dataDir, "pgdata"));
  const server = await startWireServer({
    engine,
    password: start.password,
    port: start.port,
    onFatal: () => process.exit(1),
  });
  answer({ kind: "ready", port: server.port });
  await parentGone;
  await server.close();
  await engine.close();
  lock?.release();
}

function answer(message: StartAnswer, sent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, sent);
  else sent();
}
