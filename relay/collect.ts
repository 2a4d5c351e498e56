import type { Log } from "#core/observe/log.ts";
import type { AskValidator } from "./ask.ts";
import type { Attestations } from "./attestations.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { type Attestation, headsOf, highestQuorum, type QuorumAt, quorumAt, quorumHead } from "./quorum.ts";
import type { ValidatorBook } from "./validators.ts";

/** What a lane wants signed: ideally exactly `to`, otherwise the highest nonce from `from` on. */
type Wanted = {
  readonly lane: LaneEnds;
  readonly generation: number;
  readonly from: bigint;
  readonly to: bigint;
};

/** Finds a quorum for a lane: in what validators have pushed, otherwise by asking those who are missing. */
export type Collector = (wanted: Wanted) => Promise<QuorumAt | undefined>;

type Deps = { attestations: Attestations; ask: AskValidator; book: ValidatorBook; log: Log };

export function createCollector({ attestations, ask, book, log }: Deps): Collector {
  /**
   * Asks everyone who has not signed at `nonce`, and resolves as soon as a quorum has or all have answered, so that a
   * silent validator delays nothing as long as the others suffice.
   */
  async function gather({ lane, generation }: Wanted, nonce: bigint, known: readonly Attestation[]) {
    const found = [...known];
    const signed = new Set(known.filter((word) => word.nonce === nonce).map(({ validator }) => validator));
    const request = {
      originChainId: lane.from.chain.chainId,
      destinationChainId: lane.to.chain.chainId,
      ...{ generation, epoch: book.epoch, nonce },
    };
    await new Promise<void>((resolve) => {
      const missing = book.all.filter(({ address }) => !signed.has(address));
      const asked = missing.map(async (validator) => {
        try {
          const answer = await ask(validator, request);
          await attestations.receive(answer);
          found.push({ ...answer, validator: answer.signer });
          if (quorumAt(book.set, found, nonce)) resolve();
        } catch (error) {
          log.debug({ err: error, validator: validator.name, lane: laneName(lane) }, "no signature");
        }
      });
      Promise.all(asked).then(() => resolve());
    });
    return found;
  }

  return async (wanted) => {
    const { lane, generation, from, to } = wanted;
    const pushed = await attestations.matching(lane, generation, from);
    const best = quorumAt(book.set, pushed, to);
    if (best) return best;
    await gather(wanted, to, pushed);
    // Read again: pushes came in meanwhile, and only what agrees with the lane's events counts.
    const known = await attestations.matching(lane, generation, from);
    const quorum = highestQuorum(book.set, known, { from, to });
    if (quorum) return quorum;
    const common = quorumHead(book.set, headsOf(known));
    if (common < from || common >= to) return undefined;
    await gather(wanted, common, known);
    return highestQuorum(book.set, await attestations.matching(lane, generation, from), { from, to: common });
  };
}
