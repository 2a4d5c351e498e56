import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

type Labels = Readonly<Record<string, string>>;

/**
 * Metrics of one process. Whoever has something to tell asks for an instrument once, at composition; names get the
 * prefix `lockstep_`, units are part of the name (`_seconds`, `_total`). Labels take few values: chains, hosts, states,
 * never ids or addresses.
 */
export type Metrics = {
  counter(name: string, help: string): (labels: Labels, by?: number) => void;
  /** `buckets` are upper bounds, ascending. */
  histogram(name: string, help: string, buckets: readonly number[]): (labels: Labels, value: number) => void;
  /** Read when somebody looks: `read` calls `set` for all there is to tell now. */
  gauge(name: string, help: string, labels: readonly string[], read: GaugeReader): void;
  /** Everything in the text format that Prometheus reads. */
  text(): Promise<{ readonly contentType: string; readonly body: string }>;
};

type GaugeReader = (set: (labels: Labels, value: number) => void) => void | Promise<void>;

/** A database that hangs must not keep Prometheus from the rest, which waits ten seconds by default. */
const readMs = 3_000;

/** `process` adds what Node tells of itself: memory, CPU time, delay of the event loop. */
export function createMetrics(options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.process === true) collectDefaultMetrics({ register: registry });
  return {
    counter(name, help) {
      let counter: Counter | undefined;
      return (labels, by = 1) => {
        counter ??= new Counter({ ...base(name, help), registers, labelNames: Object.keys(labels) });
        counter.inc(labels, by);
      };
    },
    histogram(name, help, buckets) {
      let histogram: Histogram | undefined;
      return (labels, value) => {
        histogram ??= new Histogram({
          ...{ ...base(name, help), registers },
          ...{ labelNames: Object.keys(labels), buckets: [...buckets] },
        });
        histogram.observe(labels, value);
      };
    },
    gauge(name, help, labelNames, read) {
      new Gauge({
        ...{ ...base(name, help), registers, labelNames: [...labelNames] },
        async collect() {
          const told = await tellInTime(read);
          // What is not there any more is not told of.
          this.reset();
          // Without labels a reset leaves a zero, which nobody has told.
          if (labelNames.length === 0) this.remove({});
          for (const [labels, value] of told) this.set(labels, value);
        },
      });
    },
    text: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

/** What cannot be read now (the database is away) or in time is left out: the others matter most just then. */
async function tellInTime(read: GaugeReader): Promise<readonly (readonly [Labels, number])[]> {
  const told: (readonly [Labels, number])[] = [];
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("too late")), readMs);
  try {
    await Promise.race([read((labels, value) => told.push([labels, value])), late.promise]);
    return told;
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

/** Gauges that are told from one answer read it once a scrape: who asks while it is on its way gets the same. */
export function sharing<T>(read: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= read().finally(() => {
      running = undefined;
    });
    return running;
  };
}

const base = (name: string, help: string) => ({ name: `lockstep_${name}`, help });
