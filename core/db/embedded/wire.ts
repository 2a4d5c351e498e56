import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { askForPassword, createMessageReader, fatalMessage, parseStartup, startupMessage } from "./frames.ts";
import { createSharedSession, type Engine, type SessionClient } from "./session.ts";

/** The embedded database behind PostgreSQL's protocol on a loopback port. */
export type WireServer = { readonly port: number; close(): Promise<void> };

export type WireOptions = {
  readonly engine: Engine;
  /** Asked of every connection: a loopback port is open to every user of the machine. */
  readonly password: string;
  /** 0 lets the operating system choose. */
  readonly port: number;
  /** The session itself broke; the process should end. */
  onFatal(error: unknown): void;
};

const defaultSearchPath = "public";
/** Query, Sync and Flush end what a client sends before it waits for an answer. */
const endsUnit = new Set(["Q", "S", "H"]);

export async function startWireServer(options: WireOptions): Promise<WireServer> {
  const session = createSharedSession(options.engine, options.onFatal);
  // Every connection gets the one session's greeting, so that connecting never waits for somebody's transaction.
  const greeting = await options.engine.execute(startupMessage("postgres", "postgres"));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    serve(socket, session, greeting, options.password);
    socket.once("close", () => sockets.delete(socket));
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("expected a TCP address"));
      else resolve(address.port);
    });
  });
  return {
    port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await session.idle();
    },
  };
}

type Session = ReturnType<typeof createSharedSession>;

function serve(socket: Socket, session: Session, greeting: Buffer, password: string): void {
  const reader = createMessageReader();
  let state: "startup" | "password" | "ready" = "startup";
  let client: SessionClient = { searchPath: defaultSearchPath, write: (output) => void socket.write(output) };
  let pending: Buffer[] = [];

  const refuse = (sqlState: string, text: string) => {
    socket.end(fatalMessage(sqlState, text));
  };

  const onStartup = (message: Buffer) => {
    const startup = parseStartup(message);
    if (startup.kind === "encryption") return void socket.write("N");
    if (startup.kind === "unknown") return void socket.destroy();
    client = { ...client, searchPath: searchPathOf(startup.parameters) };
    state = "password";
    socket.write(askForPassword);
  };

  const onPassword = (message: Buffer) => {
    const given = message.toString("utf8", 5, message.length - 1);
    if (message[0] !== 0x70 || !sameText(given, password)) return refuse("28P01", "password authentication failed");
    state = "ready";
    session.join(client);
    socket.write(greeting);
  };

  const onMessage = (message: Buffer) => {
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === "X") return void socket.end();
    pending.push(message);
    if (!endsUnit.has(type)) return;
    session.submit(client, Buffer.concat(pending), type === "H");
    pending = [];
  };

  socket.on("data", (chunk) => {
    reader.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
    try {
      for (;;) {
        const message = reader.next(state === "startup" ? "startup" : "message");
        if (!message) return;
        if (state === "startup") onStartup(message);
        else if (state === "password") onPassword(message);
        else onMessage(message);
      }
    } catch {
      socket.destroy();
    }
  });
  socket.on("error", () => socket.destroy());
  socket.once("close", () => session.leave(client));
}

/** `-c search_path=a` among the start-up options; anything but plain names falls back to the default. */
function searchPathOf(parameters: ReadonlyMap<string, string>): string {
  const found = /(?:^|\s)-c\s*search_path=("?[A-Za-z_]\w*"?(?:,"?[A-Za-z_]\w*"?)*)(?:\s|$)/.exec(
    parameters.get("options") ?? "",
  );
  return found?.[1] ?? defaultSearchPath;
}

function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
