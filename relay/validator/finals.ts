import type { Chain } from "#core/chain/chain.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Log } from "#core/observe/log.ts";
import type { RollCall } from "./rollCall.ts";

/** What an endpoint says is at a height. */
export type View = { readonly endpoint: Chain; readonly height: bigint; readonly hash: Hex };

/** An endpoint's final block on its way. */
export type Reading = { readonly endpoint: Chain; readonly view: Promise<View | undefined> };

/** Milliseconds in which an endpoint has to answer to be waited for the next time. */
const patienceMs = 250;

/**
 * Reads the final block of every endpoint. All that use to answer in time are waited for, because those that lag are
 * often the quickest; others are not, as long as `needed` have answered.
 */
export function createFinals(deps: {
  endpoints: readonly Chain[];
  needed: number;
  rollCall: RollCall;
  clock: Clock;
  log: Log;
}) {
  const { endpoints, needed, rollCall, clock, log } = deps;
  const slow = new Set<Chain>();
  /** A silent endpoint is not asked again before it has answered or failed. */
  const asked = new Map<Chain, Promise<View | undefined>>();

  function begin(endpoint: Chain): Reading {
    const running = asked.get(endpoint);
    if (running) return { endpoint, view: running };
    const view = read(endpoint).finally(() => asked.delete(endpoint));
    asked.set(endpoint, view);
    return { endpoint, view };
  }

  async function read(endpoint: Chain): Promise<View | undefined> {
    const block = await endpoint.block("final").catch((error: unknown) => {
      log.debug({ err: error }, "endpoint did not answer");
      return undefined;
    });
    if (block) slow.delete(endpoint);
    else {
      slow.add(endpoint);
      rollCall.silent(endpoint);
    }
    return block && { endpoint, height: block.number, hash: block.hash };
  }

  return async (): Promise<{ readings: readonly Reading[]; views: readonly View[] }> => {
    const expected = new Set(endpoints.filter((endpoint) => !slow.has(endpoint)));
    const readings = endpoints.map(begin);
    const views: View[] = [];
    const patience = new AbortController();
    await new Promise<void>((resolve) => {
      let pending = readings.length;
      let isPatient = true;
      const look = () => {
        const isEnough = views.length >= needed && (!isPatient || expected.size === 0);
        if (pending === 0 || isEnough) resolve();
      };
      for (const { endpoint, view } of readings) {
        void view.then((found) => {
          pending--;
          expected.delete(endpoint);
          if (found) views.push(found);
          look();
        });
      }
      void clock.sleep(patienceMs, patience.signal).then(() => {
        isPatient = false;
        if (!patience.signal.aborted) for (const endpoint of expected) slow.add(endpoint);
        look();
      });
    });
    patience.abort("answered");
    return { readings, views: [...views] };
  };
}
