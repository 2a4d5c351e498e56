import type { LaneMemory } from "./context.ts";
import type { Flight } from "./flight.ts";

/** The flight as it is from now on. */
export function keep(memory: LaneMemory, flight: Flight): Flight {
  memory.flights.set(flight.nonce, flight);
  return flight;
}

/** How long it takes what waits for something else than a block says nothing about the chain. */
export function forgetTimes(memory: LaneMemory, from: number): void {
  for (const flight of memory.flights.values()) {
    if (flight.nonce >= from) memory.flights.set(flight.nonce, { ...flight, timed: undefined });
  }
}

export function forgetSent(memory: LaneMemory, above: number): void {
  for (const flight of memory.flights.values()) {
    if (flight.nonce < above && flight.included === undefined) {
      memory.flights.set(flight.nonce, { ...flight, sent: undefined });
    }
  }
}
