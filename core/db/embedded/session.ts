import { notificationsIn, panicIn, queryMessage, syncMessage } from "./frames.ts";

/** The one session of the embedded database: takes whole messages, gives everything it answers. */
export type Engine = {
  execute(messages: Buffer): Promise<Buffer>;
  inTransaction(): boolean;
};

/** One connection as the session sees it. */
export type SessionClient = {
  /** Its search path; the session is switched to it before the client's first statement. */
  readonly searchPath: string;
  write(output: Buffer): void;
};

/** Shares one session between many connections, one unit of work after the other. */
export type SharedSession = {
  join(client: SessionClient): void;
  /** `open` when the client's pipeline goes on, so that nobody else may come in between. */
  submit(client: SessionClient, messages: Buffer, open: boolean): void;
  /** Rolls back what the client left open. */
  leave(client: SessionClient): void;
  /** Resolves once everything submitted has run. */
  idle(): Promise<void>;
};

type Unit = { readonly client: SessionClient; readonly messages: Buffer; readonly open: boolean };

/**
 * A connection's pipeline (parse, bind, execute … sync) and its transaction run without another connection in between;
 * the library's own socket server sends single messages, so that a long parameter arriving in pieces can meet another
 * connection's statement. Notifications reach every connection: PostgreSQL gives them to the session, and all
 * connections are that session.
 */
export function createSharedSession(engine: Engine, onFatal: (error: unknown) => void): SharedSession {
  const clients = new Set<SessionClient>();
  let queue: Unit[] = [];
  let owner: SessionClient | undefined;
  let running: SessionClient | undefined;
  let searchPath = "";
  let pumping: Promise<void> = Promise.resolve();

  const next = (): Unit | undefined => {
    const index = owner === undefined ? 0 : queue.findIndex(({ client }) => client === owner);
    return index < 0 ? undefined : queue.splice(index, 1)[0];
  };

  const run = async ({ client, messages, open }: Unit): Promise<void> => {
    if (owner !== client && client.searchPath !== searchPath) {
      await engine.execute(queryMessage(`SET search_path TO ${client.searchPath}`));
      searchPath = client.searchPath;
    }
    const output = await engine.execute(messages);
    owner = open || engine.inTransaction() ? client : undefined;
    if (clients.has(client)) client.write(output);
    // As when its log could not be written: a server of processes would end all of them and start anew.
    const panic = panicIn(output);
    if (panic !== undefined) throw new Error(`the database gave up: ${panic}`);
    const notifications = notificationsIn(output);
    if (notifications.length === 0) return;
    const copy = Buffer.concat(notifications);
    for (const other of clients) if (other !== client) other.write(copy);
  };

  const pump = async (): Promise<void> => {
    if (running !== undefined) return;
    try {
      for (let unit = next(); unit !== undefined; unit = next()) {
        running = unit.client;
        await run(unit);
      }
    } catch (error) {
      onFatal(error);
    } finally {
      running = undefined;
    }
  };

  const submit = (unit: Unit) => {
    queue.push(unit);
    if (running === undefined) pumping = pump();
  };

  return {
    join: (client) => {
      clients.add(client);
    },
    submit: (client, messages, open) => submit({ client, messages, open }),
    leave(client) {
      clients.delete(client);
      queue = queue.filter((unit) => unit.client !== client);
      if (owner !== client && running !== client) return;
      const rollback = Buffer.concat([syncMessage, queryMessage("ROLLBACK")]);
      submit({ client, messages: rollback, open: false });
    },
    idle: () => pumping,
  };
}
