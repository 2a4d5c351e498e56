import { inspect } from "node:util";

/**
 * Holds a value that must never be printed: string conversion, JSON and `console` all show `[redacted]`.
 * `reveal()` is the only way to the value, so every use can be searched for.
 */
export type Redacted<T> = { reveal(): T };

export function redact<T>(value: T): Redacted<T> {
  const shown = () => "[redacted]";
  return Object.freeze({ reveal: () => value, toString: shown, toJSON: shown, [inspect.custom]: shown });
}
