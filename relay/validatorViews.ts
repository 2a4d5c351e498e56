import type { Queryable } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Asking, isReachable } from "./ask.ts";
import { validatorHeads } from "./attestationStore.ts";
import { reportedValidators } from "./evidence.ts";
import { type Lanes, laneName } from "./lane.ts";
import { misbehaviourRows } from "./misbehaviour.ts";
import type { ValidatorView } from "./schemas.ts";
import type { ValidatorBook, ValidatorInfo, Validators } from "./validators.ts";

type Deps = { db: Queryable; lanes: Lanes; book: ValidatorBook; asking: Asking; clock: Clock };

const probeMs = 500;

/** Every validator that the configuration names or a valid epoch has, and how it does. */
export async function validatorViews({ db, lanes, book, asking, clock }: Deps): Promise<ValidatorView[]> {
  const [validators, heads, misbehaved, reports] = await Promise.all([
    book.read(),
    validatorHeads(db),
    misbehaviourRows(db),
    reportedValidators(db),
  ]);
  const reported = new Set(reports.map((row) => `${row.validator} ${laneName(row)}`));
  return Promise.all(
    everyone(validators, lanes, book).map(async (validator): Promise<ValidatorView> => {
      const { name, address, url } = validator;
      const own = heads.filter((head) => head.validator === address);
      const reachable = await isReachable(validator, probeMs, asking);
      const lastSeen = reachable ? clock.now() : Math.max(...own.map(({ at }) => at.getTime()), 0);
      const epochs = epochsWith(validators, lanes, validator);
      return {
        ...{ name, address, ...(url !== undefined && { url }), reachable },
        ...(lastSeen > 0 && { lastSeen: new Date(lastSeen).toISOString() }),
        weight: epochs.reduce((most, { weight }) => (weight > most ? weight : most), 0n),
        epochs,
        misbehaviour: misbehaved
          .filter((row) => row.validator === address)
          .map(({ code, lane, times, firstAt, lastAt }) => ({
            ...{ code, lane, times, firstAt: firstAt.toISOString(), lastAt: lastAt.toISOString() },
            reported: code === "equivocation" && reported.has(`${address} ${lane}`),
          })),
        attestations: own.map(({ lane, nonce, at }) => ({ lane, nonce, at: at.toISOString() })),
      };
    }),
  );
}

/** Those of the configuration first. */
function everyone(validators: Validators, lanes: Lanes, book: ValidatorBook): ValidatorInfo[] {
  const found = new Map(book.named.map((validator) => [validator.address, validator]));
  for (const lane of lanes.all) {
    for (const { all } of validators.valid(lane)) {
      for (const validator of all) if (!found.has(validator.address)) found.set(validator.address, validator);
    }
  }
  return [...found.values()];
}

function epochsWith(validators: Validators, lanes: Lanes, { address }: ValidatorInfo): ValidatorView["epochs"] {
  return lanes.all.flatMap((lane) => {
    const epoch = validators.valid(lane).find(({ byAddress }) => byAddress(address));
    const weight = epoch?.byAddress(address)?.weight;
    return epoch && weight !== undefined ? [{ lane: laneName(lane), epoch: epoch.epoch, weight }] : [];
  });
}
