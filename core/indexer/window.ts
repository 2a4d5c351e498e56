import { isLockstepError } from "../kernel/errors.ts";

/** How many blocks one request for logs spans. */
export type LogWindow = {
  /** Most blocks that the next request should span. */
  width(): bigint;
  /** A request over so many blocks was answered. */
  answered(span: bigint): void;
  /** A request over so many blocks failed; true when the window is narrower now. */
  refused(span: bigint, error: unknown): boolean;
};

/** Answers at full width in a row before more is asked for: whoever was refused is not tried again at once. */
const calmAnswers = 3;

/**
 * A window that halves when the node refuses or does not get done, and grows back while it answers. A limit on blocks
 * that a refusal names is kept to from then on. What has nothing to do with width (too many requests) changes nothing.
 */
export function createLogWindow(widest: bigint): LogWindow {
  let most = widest;
  let width = widest;
  let calm = 0;
  return {
    width: () => width,
    answered(span) {
      if (span < width || width >= most) return;
      calm += 1;
      if (calm < calmAnswers) return;
      calm = 0;
      width = least(most, width + width / 2n + 1n);
    },
    refused(span, error) {
      if (!isLockstepError(error) || !error.retryable || span <= 1n) return false;
      const words = error.code === "chain-request-refused" ? error.message : "";
      if (aboutRate.test(words)) return false;
      const before = width;
      const named = namedLimit(words, span);
      if (named !== undefined) most = named;
      width = named ?? suggestedWidth(words, span) ?? least(span, width) / 2n;
      calm = 0;
      return width < before;
    },
  };
}

const aboutRate = /rate.?limit|too many requests|requests? (rate|per second)|compute units|throughput/i;

/** "Try with this block range [0x1, 0x2f]": what would have been few enough results. */
function suggestedWidth(words: string, span: bigint): bigint | undefined {
  const [, from, to] = /\[\s*(0x[0-9a-f]{1,9})\s*,\s*(0x[0-9a-f]{1,9})\s*\]/i.exec(words) ?? [];
  if (from === undefined || to === undefined) return undefined;
  return narrower(BigInt(to) - BigInt(from) + 1n, span);
}

/** "up to a 500 block range", "limited to a 10,000 range", "maximum block range: 5000", "max is 1k blocks". */
function namedLimit(words: string, span: bigint): bigint | undefined {
  const before = /(\d[\d,]{0,8})\s?(k?)[\s-]*(?:blocks?\b|range\b)/i.exec(words);
  const [, digits, thousands] = before ?? /range\D{1,12}(\d[\d,]{0,8})\s?(k?)\b/i.exec(words) ?? [];
  if (digits === undefined) return undefined;
  return narrower(BigInt(digits.replaceAll(",", "")) * (thousands ? 1_000n : 1n), span);
}

/** A limit that the request kept to is not what it was refused for. */
const narrower = (limit: bigint, span: bigint) => (limit >= 1n && limit < span ? limit : undefined);

const least = (a: bigint, b: bigint) => (a < b ? a : b);
