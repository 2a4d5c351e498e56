import { z } from "zod";
import type { Route, RouteAnswer } from "./route.ts";

/** An answer that was put into JSON before, to be sent again as it is. */
export type Prepared = { readonly prepared: true; readonly json: string };

export const jsonType = "application/json; charset=utf-8";

/** Encodes an answer as serving the route would. */
export const prepare = <R extends Route>(route: R, answer: RouteAnswer<R>): Prepared => ({
  prepared: true,
  json: JSON.stringify(z.encode(route.answer, answer as never)),
});

export function isPrepared(answer: unknown): answer is Prepared {
  return typeof answer === "object" && answer !== null && "prepared" in answer && answer.prepared === true;
}
