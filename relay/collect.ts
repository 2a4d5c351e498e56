import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { AskValidator } from "./ask.ts";
import type { Attestations } from "./attestations.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import type { MisbehaviourBook } from "./misbehaviour.ts";
import { type Attestation, headsOf, highestQuorum, type QuorumAt, quorumAt, quorumHead } from "./quorum.ts";
import type { WireAttestation } from "./schemas.ts";
import type { ValidatorEpoch, ValidatorInfo } from "./validators.ts";

/** What a lane wants signed. */
type Wanted = {
  readonly lane: LaneEnds;
  readonly generation: number;
  /** The epochs that the destination takes, newest first: the newest is asked first. */
  readonly epochs: readonly ValidatorEpoch[];
  /** The accumulators of the messages that may be delivered, by nonce, without a gap. */
  readonly places: ReadonlyMap<bigint, Hex>;
  /** The nonce that is best signed: the last of `places`, or an earlier one where the batch ends. */
  readonly to: bigint;
  /** What validators have pushed and agrees with the lane, from the first of `places` on. */
  readonly pushed: readonly Attestation[];
};

type Collected = {
  readonly quorum?: QuorumAt & { readonly epoch: ValidatorEpoch };
  /** Verified answers, to be kept. */
  readonly fresh: readonly Attestation[];
};

/** Finds a quorum for a lane: in what validators have pushed, otherwise by asking those who are missing. */
export type Collector = (wanted: Wanted) => Promise<Collected>;

type Deps = {
  attestations: Pick<Attestations, "receive" | "verify">;
  ask: AskValidator;
  misbehaviour: MisbehaviourBook;
  log: Log;
};

export function createCollector({ attestations, ask, misbehaviour, log }: Deps): Collector {
  /** Those that gave no answer lately. They are asked as all others, but nobody waits for them. */
  const silent = new Set<Hex>();

  /** Asks one validator; undefined when it does not answer, or with something that is of no use here (any more). */
  async function answerOf(
    validator: ValidatorInfo,
    wanted: Wanted,
    epoch: bigint,
    nonce: bigint,
    isNeeded: () => boolean,
  ): Promise<Attestation | undefined> {
    const { lane, generation, places } = wanted;
    const request = {
      originChainId: lane.from.chain.chainId,
      destinationChainId: lane.to.chain.chainId,
      ...{ generation, epoch, nonce },
    };
    try {
      const answer = await ask(validator, request);
      silent.delete(validator.address);
      if (!isAbout(answer, { ...request, signer: validator.address })) {
        await misbehaviour.note(validator, "answer-off-subject", lane);
        return undefined;
      }
      if (places.get(answer.nonce) === answer.accumulator) {
        if (!isNeeded()) return undefined;
        await attestations.verify(answer);
        return { ...answer, validator: answer.signer };
      }
      // An older message than asked for, or a contradiction, which `receive` tells and reports.
      await attestations.receive(answer);
    } catch (error) {
      if (isLockstepError(error)) await misbehaviour.noteError(validator, error, lane);
      else silent.add(validator.address);
      log.debug({ err: error, validator: validator.name, lane: laneName(lane) }, "no signature");
    }
    return undefined;
  }

  /**
   * Asks everyone who has not signed at `nonce`, and resolves as soon as a quorum has or all that usually answer have,
   * so that a silent validator delays nothing.
   */
  function gather(wanted: Wanted, epoch: ValidatorEpoch, nonce: bigint, known: readonly Attestation[]) {
    const signed = new Set(known.filter((word) => word.nonce === nonce).map(({ validator }) => validator));
    const missing = epoch.all.filter(({ address, url }) => url !== undefined && !signed.has(address));
    const awaited = new Set(missing.filter(({ address }) => !silent.has(address)));
    const fresh: Attestation[] = [];
    let settled = false;
    return new Promise<Attestation[]>((resolve) => {
      const settle = () => {
        settled = true;
        resolve([...fresh]);
      };
      const asked = missing.map(async (validator) => {
        const answer = await answerOf(validator, wanted, epoch.epoch, nonce, () => !settled);
        awaited.delete(validator);
        if (answer) fresh.push(answer);
        const isQuorum = answer?.nonce === nonce && quorumAt(epoch.counting, [...known, ...fresh], nonce);
        // Without a quorum's word at any nonce there is nothing better to do than to wait for the others.
        const canGoOn = () => quorumHead(epoch.counting, headsOf([...known, ...fresh])) > 0n;
        if (isQuorum || (awaited.size === 0 && canGoOn())) settle();
      });
      void Promise.all(asked).then(settle);
    });
  }

  /** A quorum of one epoch, by asking. */
  async function askFor(wanted: Wanted, epoch: ValidatorEpoch): Promise<Collected> {
    const { places, to } = wanted;
    const from = places.keys().next().value ?? to;
    const pushed = wanted.pushed.filter((word) => word.epoch === epoch.epoch);
    const fresh = await gather(wanted, epoch, to, pushed);
    const known = [...pushed, ...fresh];
    const quorum = highestQuorum(epoch.counting, known, { from, to });
    if (quorum) return { quorum: { ...quorum, epoch }, fresh };
    // Validators that are at different heights have the lowest of these in common.
    const common = quorumHead(epoch.counting, headsOf(known));
    if (common < from || common >= to) return { fresh };
    const more = await gather(wanted, epoch, common, known);
    const found = highestQuorum(epoch.counting, [...known, ...more], { from, to: common });
    return { ...(found && { quorum: { ...found, epoch } }), fresh: [...fresh, ...more] };
  }

  return async (wanted) => {
    for (const epoch of wanted.epochs) {
      const own = wanted.pushed.filter((word) => word.epoch === epoch.epoch);
      const ready = quorumAt(epoch.counting, own, wanted.to);
      if (ready) return { quorum: { ...ready, epoch }, fresh: [] };
    }
    const fresh: Attestation[] = [];
    for (const epoch of wanted.epochs) {
      const asked = await askFor(wanted, epoch);
      fresh.push(...asked.fresh);
      if (asked.quorum) return { quorum: asked.quorum, fresh };
    }
    return { fresh };
  };
}

type Subject = { originChainId: number; destinationChainId: number; generation: number; epoch: bigint; signer: Hex };

const isAbout = (answer: WireAttestation, subject: Subject): boolean =>
  answer.originChainId === subject.originChainId &&
  answer.destinationChainId === subject.destinationChainId &&
  answer.generation === subject.generation &&
  answer.epoch === subject.epoch &&
  answer.signer === subject.signer;
