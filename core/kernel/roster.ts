import type { Live } from "./live.ts";

type Member = { start(): void | Promise<void>; stop(): Promise<void> };

/** One part at work for each entry of a `Live`: started with it, replaced when it changes, stopped when it goes. */
export type Roster<M> = {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Undefined for an unknown name, and for a moment while a part is replaced. */
  get(name: string): M | undefined;
  all(): readonly M[];
};

type RosterOptions<T, M> = {
  readonly live: Live<T>;
  create(value: T, name: string): M;
  /** True when a part goes on with a changed value as it is. */
  keeps(member: M, before: T, after: T): boolean;
  /** A part that could not be started or stopped; the others go on. */
  onError(error: unknown, name: string): void;
};

/** Parts exist as soon as the roster does and are at work between `start` and `stop`. Never two of one name at a time. */
export function createRoster<T, M extends Member>(options: RosterOptions<T, M>): Roster<M> {
  const { live } = options;
  const members = new Map<string, { readonly value: T; readonly member: M }>();
  let working = false;
  let forget: () => void = () => undefined;
  let tail: Promise<unknown> = Promise.resolve();

  async function each(work: (name: string, member: M) => void | Promise<void>): Promise<void> {
    await Promise.all([...members].map(([name, { member }]) => guarded(name, () => work(name, member))));
  }

  async function guarded(name: string, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      options.onError(error, name);
    }
  }

  function add(name: string, value: T): M {
    const member = options.create(value, name);
    members.set(name, { value, member });
    return member;
  }

  async function drop(name: string, member: M): Promise<void> {
    members.delete(name);
    await guarded(name, () => member.stop());
  }

  async function follow(name: string): Promise<void> {
    const now = live.get(name);
    const known = members.get(name);
    if (known && now !== undefined && (known.value === now || options.keeps(known.member, known.value, now))) {
      members.set(name, { ...known, value: now });
      return;
    }
    if (known) await drop(name, known.member);
    // What it is by now, since stopping may have taken a while.
    const next = live.get(name);
    if (next === undefined) return;
    await guarded(name, async () => {
      const member = add(name, next);
      if (working) await member.start();
    });
  }

  const followAll = () => {
    const names = new Set([...members.keys(), ...live.entries().map(([name]) => name)]);
    tail = tail.then(() => (working ? Promise.all([...names].map(follow)) : undefined));
  };

  for (const [name, value] of live.entries()) add(name, value);
  return {
    async start() {
      if (working) return;
      working = true;
      forget = live.onChange(followAll);
      for (const { member } of members.values()) await member.start();
      followAll();
    },
    async stop() {
      working = false;
      forget();
      await tail;
      await each((_, member) => member.stop());
    },
    get: (name) => members.get(name)?.member,
    all: () => [...members.values()].map(({ member }) => member),
  };
}
