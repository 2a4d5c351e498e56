import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { boundWords, type KeptAttestation, type Known, saveWord } from "./attestationStore.ts";
import { keepEvidence } from "./evidence.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import type { MisbehaviourBook } from "./misbehaviour.ts";
import { recoverCheckpointSigner } from "./protocol/checkpoint.ts";
import type { WireAttestation } from "./schemas.ts";
import type { ValidatorBook, ValidatorInfo } from "./validators.ts";

/** What validators say, checked before any of it is kept or counted. */
export type Attestations = {
  /**
   * Takes in what was pushed. Throws `attestation-refused` (unknown lane, epoch or validator, or a signature that is
   * not its own) or `attestation-disagrees` (another accumulator than the lane's events, or than its own earlier word).
   */
  receive(attestation: WireAttestation): Promise<LaneEnds>;
  /** Throws `attestation-refused` unless a known validator signed it for a known lane. Looks at nothing else. */
  verify(attestation: WireAttestation): Promise<void>;
  /**
   * Verified words about a lane that came in lately, before the database has them. Whether they agree with the lane's
   * events is for the caller to see.
   */
  recent(lane: LaneEnds): readonly KeptAttestation[];
};

type Deps = {
  db: Db;
  lanes: Lanes;
  book: ValidatorBook;
  misbehaviour: MisbehaviourBook;
  clock: Clock;
  /** Called as soon as a signature is verified, for whoever waits for it. */
  heard(lane: LaneEnds): void;
  /** Called when a validator is proven to have signed two histories. */
  proven(): void;
};

const rememberedChecks = 1_000;
/** Words of a validator about a lane that are kept at hand. */
const recentWords = 16;
/** What is kept of a validator's words is bounded once in so many of them. */
const boundEvery = 32;

export function createAttestations(deps: Deps): Attestations {
  const { db, lanes, book, misbehaviour, clock, heard } = deps;
  const words = new Map<string, KeptAttestation[]>();
  /** How many words of each validator about each lane were kept. */
  const counts = new Map<string, number>();
  /** Signatures that were checked: a validator pushes what it was just asked for. */
  const checked = new Set<string>();

  async function senderOf(attestation: WireAttestation): Promise<{ lane: LaneEnds; validator: ValidatorInfo }> {
    const lane = lanes.byChainIds(attestation.originChainId, attestation.destinationChainId);
    if (
      !lane ||
      lane.from.gateway !== attestation.originGateway ||
      lane.to.gateway !== attestation.destinationGateway
    ) {
      throw refused("it is about a lane that is not served here", attestation);
    }
    const valid = (await book.read()).valid(lane);
    const epoch = valid.find((each) => each.epoch === attestation.epoch);
    if (!epoch) {
      const known = valid.map((each) => each.epoch).join(", ") || "none";
      throw refused(`the validators' valid epochs here are: ${known}`, attestation);
    }
    const validator = epoch.byAddress(attestation.signer);
    if (!validator) throw refused("its signer is no validator of this epoch", attestation);
    return { lane, validator };
  }

  /** One recovery (a millisecond) a signature, however often it comes; refused ones are not remembered. */
  function assertSigned(attestation: WireAttestation): void {
    const key = Object.values(attestation).join();
    if (checked.has(key)) return;
    const { destinationChainId: chainId, destinationGateway: gateway, signer, signature, ...checkpoint } = attestation;
    if (recoverCheckpointSigner({ chainId, gateway }, checkpoint, signature) !== signer) {
      throw refused("its signature is not its signer's", attestation, "signature-invalid");
    }
    checked.add(key);
    if (checked.size > rememberedChecks) checked.delete(checked.keys().next().value ?? "");
  }

  /** Puts a word at hand, before older ones; whoever says much crowds out only itself. */
  function atHand(name: string, word: KeptAttestation): void {
    let own = 0;
    const isNear = ({ validator }: KeptAttestation) => validator !== word.validator || ++own <= recentWords;
    words.set(name, [word, ...(words.get(name) ?? [])].filter(isNear));
  }

  async function keep(lane: LaneEnds, generation: number, word: KeptAttestation): Promise<Known> {
    const known = await saveWord(db, lane, generation, word, new Date(clock.now()));
    const key = `${word.validator} ${laneName(lane)}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count % boundEvery === 0) await boundWords(db, lane, word.validator);
    return known;
  }

  /** Keeps what a word proves about its signer. */
  async function judge(lane: LaneEnds, validator: ValidatorInfo, word: KeptAttestation, known: Known): Promise<void> {
    const { other, indexed } = known;
    const { generation, nonce } = word;
    if (other) {
      const { origin, destination } = lane;
      const place = { origin, destination, generation, nonce, validator: validator.address };
      await keepEvidence(db, { ...place, first: other, second: word });
      await misbehaviour.note(validator, "equivocation", lane);
      deps.proven();
    }
    // Before that it may be this service that has not seen a reorganisation yet.
    if (indexed?.final && indexed.accumulator !== word.accumulator) {
      await misbehaviour.note(validator, "contradicts-lane", lane);
    }
  }

  return {
    async receive(attestation) {
      const { lane, validator } = await senderOf(attestation);
      // Only a signed contradiction is worth an alarm: anyone can claim to be a validator.
      assertSigned(attestation);
      const { generation, epoch, nonce, accumulator, signature } = attestation;
      const word = { generation, epoch, validator: validator.address, nonce, accumulator, signature };
      const name = laneName(lane);
      atHand(name, word);
      heard(lane);
      const known = await keep(lane, generation, word);
      if (known.other || known.indexed) await judge(lane, validator, word, known);
      const expected = known.indexed?.accumulator ?? known.other?.accumulator;
      if (expected === undefined || expected === accumulator) return lane;
      words.set(
        name,
        (words.get(name) ?? []).filter((each) => each !== word),
      );
      throw disagreement(attestation, validator, lane, expected);
    },
    recent: (lane) => words.get(laneName(lane)) ?? [],
    async verify(attestation) {
      await senderOf(attestation);
      assertSigned(attestation);
    },
  };
}

function disagreement(
  { nonce, accumulator }: WireAttestation,
  { name }: ValidatorInfo,
  lane: LaneEnds,
  expected: string,
) {
  const message = `${name} signed ${accumulator} for ${laneName(lane)} at ${nonce}, expected ${expected}`;
  return new LockstepError("attestation-disagrees", message, {
    details: { validator: name, lane: laneName(lane), nonce },
  });
}

function refused(why: string, { signer, nonce }: WireAttestation, misbehaviour?: string): LockstepError {
  return new LockstepError("attestation-refused", `the attestation is refused: ${why}`, {
    details: { signer, nonce, misbehaviour },
  });
}
