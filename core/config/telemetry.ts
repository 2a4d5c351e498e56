import { z } from "zod";
import type { Redacted } from "../kernel/redacted.ts";
import { redact } from "../kernel/redacted.ts";
import { keySourceSchema, readSecret } from "./accounts.ts";
import { plainHttpUrl } from "./url.ts";

const headerName = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, "expected the name of a header");

const traces = z.strictObject({
  /** Where spans are posted to (OTLP over HTTP, in JSON), with the path: mostly one that ends in `/v1/traces`. */
  url: plainHttpUrl,
  /** Headers that the collector asks for; a key is better kept in a file or a variable. */
  headers: z.record(headerName, z.union([z.string().min(1).max(4_096), keySourceSchema])).default({}),
  /** The part of all messages and swaps that is traced, each wholly or not at all. */
  sample: z.number().min(0).max(1).default(1),
  /** Milliseconds that the collector may take to answer. */
  timeoutMs: z.number().int().min(100).max(60_000).default(5_000),
});

/** What is told to the outside besides logs and metrics. */
export const telemetryConfigSchema = z
  .strictObject({
    /** Spans of messages and swaps; nothing is traced where this is left out. */
    traces: traces.optional(),
  })
  .prefault({});

export type TelemetryConfig = z.output<typeof telemetryConfigSchema>;
export type TracesConfig = z.output<typeof traces>;

type TracesEnv = {
  readonly OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?: string | undefined;
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
};

/** What the configuration says of traces, or else the standard variables; undefined where neither asks for them. */
export function tracesConfig({ traces: configured }: TelemetryConfig, env: TracesEnv): TracesConfig | undefined {
  if (configured) return configured;
  const common = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const url = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (common && `${common.replace(/\/+$/, "")}/v1/traces`);
  return url === undefined ? undefined : traces.parse({ url });
}

/** The headers with what their sources hold. Throws `config-invalid`, naming the field. */
export function readHeaders({ headers }: Pick<TracesConfig, "headers">): Redacted<Readonly<Record<string, string>>> {
  const read = Object.entries(headers).map(([name, value]) => {
    if (typeof value === "string") return [name, value] as const;
    return [name, readSecret(value, `telemetry.traces.headers.${name}`).reveal()] as const;
  });
  return redact(Object.fromEntries(read));
}
