import { z } from "zod";
import { LockstepError } from "../kernel/errors.ts";
import type { AnyEvent, EventSchemas, StoredEvent } from "./store.ts";

export type EventRow = {
  position: bigint;
  stream: string;
  version: number;
  type: string;
  data: unknown;
  at: Date;
};

/** Between events in code and their JSON in the database; both ways are checked against the schema of the type. */
export type EventCodec = {
  /** Throws `event-unknown` or `event-invalid`. */
  encode(event: AnyEvent): unknown;
  decode(row: EventRow): StoredEvent;
};

export function createEventCodec(schemas: EventSchemas): EventCodec {
  const byType = new Map(Object.entries(schemas));

  const schemaOf = (type: string): z.ZodType => {
    const schema = byType.get(type);
    if (!schema)
      throw new LockstepError("event-unknown", `No schema is registered for events of type ${type}`, {
        details: { type },
      });
    return schema;
  };

  const checked = <T>(type: string, where: string, result: z.ZodSafeParseResult<T>): T => {
    if (result.success) return result.data;
    const field = result.error.issues[0]?.path.join(".") ?? "";
    throw new LockstepError("event-invalid", `The data of an event of type ${type} ${where} does not fit its schema`, {
      details: { type, field },
    });
  };

  return {
    encode: ({ type, data }) => checked(type, "to be stored", z.safeEncode(schemaOf(type), data)),
    decode: ({ position, stream, version, type, data, at }) => ({
      position,
      stream,
      version,
      type,
      data: checked(type, `at position ${position}`, z.safeDecode(schemaOf(type), data)),
      at,
    }),
  };
}
