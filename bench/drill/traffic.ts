import { randomUUID } from "node:crypto";
import { type Client, createClient } from "#app/client/index.ts";
import { freeze } from "#app/demo/swaps.ts";
import { messageRequest, swapRequest } from "#test/flows/requests.ts";
import type { Chance } from "./chance.ts";
import type { World } from "./processes.ts";

/** From when a message was asked for until it was delivered, in milliseconds since 1970. */
export type Probe = { readonly askedAt: number; readonly deliveredAt: number };

export type Traffic = {
  /** Ids of what was accepted. */
  readonly messages: readonly string[];
  readonly swaps: readonly string[];
  readonly probes: readonly Probe[];
  /** Asks for nothing more, and resolves when all that was asked for has been accepted. */
  stop(): Promise<void>;
};

const messageMs = 400;
const swapMs = 2_000;
/** Of so many swaps one is with somebody who cannot lock, and has to end in a refund. */
const refusedEach = 4;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Clients of the processes that take requests. */
export function clientsOf({ services }: World): () => Client[] {
  return () =>
    services
      .filter(({ name }) => name.startsWith("api-"))
      .map((each) => {
        const { url, token } = each.member();
        return createClient({ url, token, timeoutMs: 5_000, retries: 0 });
      });
}

/** Asks one after the other until there is an answer: what is asked twice carries the same key. */
export async function askAny<T>(clients: () => Client[], ask: (client: Client) => Promise<T>): Promise<T> {
  for (;;) {
    for (const client of clients()) {
      try {
        return await ask(client);
      } catch {
        await wait(100);
      }
    }
  }
}

/** `noSwapsFrom`: swaps begun later would only be waited for; in milliseconds since 1970. */
export async function startTraffic(world: World, chance: Chance, noSwapsFrom: number): Promise<Traffic> {
  const { network } = world;
  await freeze(network, "carol");
  const clients = clientsOf(world);
  const messages: string[] = [];
  const swaps: string[] = [];
  const probes: Probe[] = [];
  let over = false;

  async function send(): Promise<string> {
    const idempotencyKey = randomUUID();
    const order = messageRequest(network) as Parameters<Client["messages"]["send"]>[0];
    const { id } = await askAny(clients, (client) => client.messages.send(order, { idempotencyKey }));
    messages.push(id);
    return id;
  }

  async function swap(refused: boolean): Promise<void> {
    const idempotencyKey = randomUUID();
    const request = swapRequest(network);
    const order = { ...request, ...(refused && { counterparty: { account: "carol" } }) };
    const { id } = await askAny(clients, (client) =>
      client.swaps.request(order as Parameters<Client["swaps"]["request"]>[0], { idempotencyKey }),
    );
    swaps.push(id);
  }

  /** One at a time, from the request to the delivery. */
  async function probe(): Promise<void> {
    while (!over) {
      const askedAt = Date.now();
      const id = await send();
      for (;;) {
        const { status } = await askAny(clients, (client) => client.messages.get(id));
        if (status === "delivered") break;
        await wait(50);
      }
      probes.push({ askedAt, deliveredAt: Date.now() });
    }
  }

  async function every(ms: number, ask: (count: number) => Promise<unknown>, end = Infinity): Promise<void> {
    const under: Promise<unknown>[] = [];
    for (let count = 0; !over && Date.now() < end; count++) {
      under.push(ask(count));
      await wait(chance.between(ms / 2, (3 * ms) / 2));
    }
    await Promise.all(under);
  }

  const all = [
    probe(),
    every(messageMs, send),
    every(swapMs, (count) => swap(count % refusedEach === refusedEach - 1), noSwapsFrom),
  ];
  return {
    ...{ messages, swaps, probes },
    async stop() {
      over = true;
      await Promise.all(all);
    },
  };
}
