import { createHmac } from "node:crypto";

/** What proves a delivery: HMAC-SHA-256 over the time, a dot and the body. Stripe's form, which many libraries check. */
export function signDelivery(secret: string, seconds: bigint, body: string): string {
  const mac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${mac}`;
}

/** Milliseconds before the next attempt after so many failures in a row: doubling up to an hour, a fifth either way. */
export function retryInMs(failures: number, random: () => number = Math.random): number {
  const base = Math.min(1_000 * 2 ** Math.max(0, failures - 1), 3_600_000);
  return Math.round(base * (0.8 + 0.4 * random()));
}
