import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to a server over TCP that can be cut. */
export type TcpProxy = {
  readonly port: number;
  /** Connections that were accepted, in all. */
  readonly accepted: number;
  readonly refused: number;
  /** Resets every connection; new ones are passed on as before. */
  cut(): void;
  /** Resets every connection, and every new one until `admit`. */
  refuse(): void;
  /** Resets every new connection until `admit`. */
  refuseNew(): void;
  admit(): void;
  /** Takes connections and passes nothing on, as to a machine that hangs, until `goOn`. */
  hang(): void;
  goOn(): void;
  close(): Promise<void>;
};

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const held = new Set<Socket>();
  let hanging = false;
  let refusing = false;
  let accepted = 0;
  let refused = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (refusing) {
      refused += 1;
      socket.resetAndDestroy();
      return;
    }
    accepted += 1;
    const upstream = connect(target);
    const drop = () => {
      sockets.delete(socket);
      socket.destroy();
      upstream.destroy();
    };
    for (const end of [socket, upstream]) {
      end.on("close", drop).on("error", drop);
      end.on("close", () => held.delete(end));
      held.add(end);
    }
    socket.pipe(upstream).pipe(socket);
    if (hanging) for (const end of [socket, upstream]) end.pause();
    sockets.add(socket);
  });
  const cut = () => {
    for (const socket of sockets) {
      // A socket that is being shut down cannot be reset: libuv refuses, and Node (24.21) spins at its own end for ever.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    get refused() {
      return refused;
    },
    cut,
    refuse() {
      refusing = true;
      cut();
    },
    refuseNew() {
      refusing = true;
    },
    admit() {
      refusing = false;
    },
    hang() {
      hanging = true;
      for (const end of held) end.pause();
    },
    goOn() {
      hanging = false;
      for (const end of held) end.resume();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
