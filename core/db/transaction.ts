import type pg from "pg";
import { LockstepError } from "../kernel/errors.ts";
import type { Tx } from "./db.ts";
import { toDatabaseError } from "./failures.ts";
import { runStatement } from "./statement.ts";

/** A `Tx` over one checked-out connection, and what `Db.tx` needs to end it. */
export type OpenTransaction = {
  readonly tx: Tx;
  /** Waits for statements that `work` started without awaiting them, then refuses further ones. */
  settle(): Promise<void>;
  /** Runs the `afterCommit` hooks. */
  committed(onHookError: (error: unknown) => void): void;
};

export function openTransaction(client: pg.PoolClient): OpenTransaction {
  const hooks: (() => void)[] = [];
  let tail: Promise<unknown> = Promise.resolve();
  let open = true;

  // One statement at a time: `pg` wants the caller to wait, and a Promise.all inside `work` is fine then.
  const inOrder = <T>(work: () => Promise<T>): Promise<T> => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };

  return {
    tx: {
      kind: "tx",
      query: <Row extends object>(text: string, params?: readonly unknown[]) => {
        if (!open) return Promise.reject(new LockstepError("database-rule", "This transaction has ended"));
        return inOrder(() => runStatement<Row>(client, text, params)).catch((error: unknown) => {
          throw toDatabaseError(error);
        });
      },
      afterCommit: (hook) => {
        hooks.push(hook);
      },
    },
    settle: async () => {
      await tail;
      open = false;
    },
    committed: (onHookError) => {
      for (const hook of hooks) {
        try {
          hook();
        } catch (error) {
          onHookError(error);
        }
      }
    },
  };
}
