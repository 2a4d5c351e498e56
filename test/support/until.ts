/**
 * Waits until the condition gives something other than undefined or false; throws after `timeoutMs`: patient, for it
 * costs only a failing test its time, and a busy machine is not what is tested.
 */
export async function until<T>(
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  what = "the condition",
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`${what} did not come true within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
