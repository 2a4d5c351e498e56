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
          // What is not there any more is not told of.
          this.reset();
          try {
            await read((labels, value) => this.set(labels, value));
          } catch {
            // What cannot be read now (the database is away) is left out: the others matter most just then.
            this.reset();
          }
        },
      });
    },
    text: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}

const base = (name: string, help: string) => ({ name: `lockstep_${name}`, help });
