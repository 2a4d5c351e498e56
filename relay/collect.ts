import type { Hex } from "#core/kernel/codec.ts";
import type { Log } from "#core/observe/log.ts";
import type { AskValidator } from "./ask.ts";
import type { Attestations } from "./attestations.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { type Attestation, headsOf, highestQuorum, type QuorumAt, quorumAt, quorumHead } from "./quorum.ts";
import type { WireAttestation } from "./schemas.ts";
import type { ValidatorBook, ValidatorInfo } from "./validators.ts";

/** What a lane wants signed. */
type Wanted = {
  readonly lane: LaneEnds;
  readonly generation: number;
  /** The accumulators of the messages that may be delivered, by nonce, without a gap. */
  readonly places: ReadonlyMap<bigint, Hex>;
  /** The nonce that is best signed: the last of `places`, or an earlier one where the batch ends. */
  readonly to: bigint;
  /** What validators have pushed and agrees with the lane, from the first of `places` on. */
  readonly pushed: readonly Attestation[];
};

type Collected = {
  readonly quorum?: QuorumAt;
  /** Verified answers, to be kept. */
  readonly fresh: readonly Attestation[];
};

/** Finds a quorum for a lane: in what validators have pushed, otherwise by asking those who are missing. */
export type Collector = (wanted: Wanted) => Promise<Collected>;

type Deps = { attestations: Attestations; ask: AskValidator; book: ValidatorBook; log: Log };

export function createCollector({ attestations, ask, book, log }: Deps): Collector {
  /** Asks one validator; undefined when it does not answer, or with something that is of no use here. */
  async function answerOf(validator: ValidatorInfo, wanted: Wanted, nonce: bigint): Promise<Attestation | undefined> {
    const { lane, generation, places } = wanted;
    const request = {
      originChainId: lane.from.chain.chainId,
      destinationChainId: lane.to.chain.chainId,
      ...{ generation, epoch: book.epoch, nonce },
    };
    try {
      const answer = await ask(validator, request);
      if (!isAbout(answer, { ...request, signer: validator.address })) return undefined;
      if (places.get(answer.nonce) !== answer.accumulator) {
        // An older message than asked for, or a contradiction, which `receive` tells and reports.
        await attestations.receive(answer);
        return undefined;
      }
      await attestations.verify(answer);
      return { ...answer, validator: answer.signer };
    } catch (error) {
      log.debug({ err: error, validator: validator.name, lane: laneName(lane) }, "no signature");
      return undefined;
    }
  }

  /**
   * Asks everyone who has not signed at `nonce`, and resolves as soon as a quorum has or all have answered, so that a
   * silent validator delays nothing as long as the others suffice.
   */
  function gather(wanted: Wanted, nonce: bigint, known: readonly Attestation[]): Promise<Attestation[]> {
    const signed = new Set(known.filter((word) => word.nonce === nonce).map(({ validator }) => validator));
    const fresh: Attestation[] = [];
    return new Promise((resolve) => {
      const missing = book.all.filter(({ address }) => !signed.has(address));
      const asked = missing.map(async (validator) => {
        const answer = await answerOf(validator, wanted, nonce);
        if (answer) fresh.push(answer);
        if (answer?.nonce === nonce && quorumAt(book.set, [...known, ...fresh], nonce)) resolve([...fresh]);
      });
      Promise.all(asked).then(() => resolve(fresh));
    });
  }

  return async (wanted) => {
    const { places, to, pushed } = wanted;
    const from = places.keys().next().value ?? to;
    const ready = quorumAt(book.set, pushed, to);
    if (ready) return { quorum: ready, fresh: [] };
    const fresh = await gather(wanted, to, pushed);
    const known = [...pushed, ...fresh];
    const quorum = highestQuorum(book.set, known, { from, to });
    if (quorum) return { quorum, fresh };
    // Validators that are at different heights have the lowest of these in common.
    const common = quorumHead(book.set, headsOf(known));
    if (common < from || common >= to) return { fresh };
    const more = await gather(wanted, common, known);
    const found = highestQuorum(book.set, [...known, ...more], { from, to: common });
    return { ...(found && { quorum: found }), fresh: [...fresh, ...more] };
  };
}

type Subject = { originChainId: number; destinationChainId: number; generation: number; epoch: bigint; signer: Hex };

const isAbout = (answer: WireAttestation, subject: Subject): boolean =>
  answer.originChainId === subject.originChainId &&
  answer.destinationChainId === subject.destinationChainId &&
  answer.generation === subject.generation &&
  answer.epoch === subject.epoch &&
  answer.signer === subject.signer;
