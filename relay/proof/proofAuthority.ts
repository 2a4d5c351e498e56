import { size } from "viem";
import type { StateProof } from "#core/chain/verifyState.ts";
import type { Db } from "#core/db/db.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { Authority, Authorize, BatchWanted, Missing } from "../authority.ts";
import { calldataCap, type DeliveryShape, deliverCalldataBytes, deliveryGas, transactionGasCap } from "../gas.ts";
import { failureOf, headerIntent } from "../intents.ts";
import { type LaneEnds, laneName } from "../lane.ts";
import type { OpenMessage } from "../openMessage.ts";
import { encodeDeliverProven } from "../protocol/proven.ts";
import type { ReasonCode } from "../reasons.ts";
import type { HeaderCollector } from "./collectHeader.ts";
import { findHeader, type LaneHeader, saveHeader } from "./headerStore.ts";
import { headSlots, type ProvenHead, provenHead } from "./headSlots.ts";
import { idsBetween } from "./laterIds.ts";
import { type OracleHeader, readOracle } from "./oracle.ts";

type Deps = {
  db: Db;
  sender: Sender;
  collect: HeaderCollector;
  log: Log;
  /** Managed account that pays. */
  account: string;
};

/** A lane whose two ends can do what proofs need. */
type ProvingLane = LaneEnds & {
  readonly from: Required<Pick<LaneEnds["from"], "prove">>;
  readonly to: { readonly stateOracle: `0x${string}` };
};

/** Ids that a delivery brings besides its messages at most: 48 KB of calldata. */
const mostLaterIds = 1_500n;

/**
 * Delivery by proof: a header of the origin that a quorum attests goes to the destination's state oracle; then the
 * lane's accumulator is proven against it, for any number of deliveries up to the message that was the newest there.
 */
export function createProofAuthority(deps: Deps): Authorize {
  const { db, sender, collect, log, account } = deps;
  /** The last proof of each lane: several deliveries rest on one. */
  const proofs = new Map<string, StateProof>();

  /** What became of the header that the lane waits for; undefined when another one is needed. */
  async function look(lane: ProvingLane, header: LaneHeader): Promise<"counts" | "pending" | "conflict" | undefined> {
    const { generation, height, blockHash, intentId } = header;
    const known: OracleHeader = await readOracle(lane.to, lane.from.chain.chainId, generation, height);
    if (known.state === "counts") return known.blockHash === blockHash ? "counts" : "conflict";
    if (known.state === "void") return undefined;
    const status = await sender.find(db, intentId);
    const isUseless = status?.state === "included" && status.status === "reverted";
    return status === undefined || isUseless || failureOf(status) ? undefined : "pending";
  }

  async function proofOf(lane: ProvingLane, header: LaneHeader): Promise<StateProof> {
    const kept = proofs.get(laneName(lane));
    if (kept?.header.hash === header.blockHash) return kept;
    const state = await headAt(lane, header.height);
    const { nonce, accumulator } = provenHead(state);
    if (state.header.hash !== header.blockHash || nonce !== header.nonce || accumulator !== header.accumulator) {
      throw new LockstepError(
        "chain-answer-invalid",
        `${lane.origin} has another block at ${header.height} than before`,
      );
    }
    proofs.set(laneName(lane), state);
    return state;
  }

  /** Asks for the header under which the planned messages, and maybe later ones, can be delivered. */
  async function begin({ lane, generation, epochs, planned }: BatchWanted & { lane: ProvingLane }, kept?: LaneHeader) {
    const chosen = await chooseHead(lane, planned);
    if (!chosen) {
      return missing(
        "awaiting-finality",
        `the final block of ${lane.origin} does not show the lane's next message yet`,
      );
    }
    const { state, head } = chosen;
    const { number, hash: blockHash, rlp } = state.header;
    const place = { originChainId: lane.from.chain.chainId, generation, number, blockHash };
    const oracle = { chainId: lane.to.chain.chainId, address: lane.to.stateOracle };
    const collected = await collect(lane, oracle, place, epochs);
    if ("missing" in collected) {
      const names = collected.missing.join(", ");
      return missing(
        "awaiting-quorum",
        `too few validators have signed the header of block ${number}: ${names} missing`,
      );
    }
    const { epoch, set } = collected.epoch;
    const header = { ...place, epoch };
    const attempt = kept?.height === number && kept.epoch === epoch ? kept.attempt + 1 : 1;
    const signed = { header, rlp, set, signatures: collected.signatures };
    const intent = headerIntent(lane, lane.to.stateOracle, signed, attempt, account);
    await db.tx(async (tx) => {
      await saveHeader(tx, lane, {
        ...{ generation, height: number, blockHash, ...head, epoch, attempt, intentId: intent.id },
      });
      await sender.submit(tx, [intent]);
    });
    log.debug({ lane: laneName(lane), height: number, nonce: head.nonce, attempt }, "header is on its way");
    return missing("awaiting-header", onItsWay(lane, number));
  }

  /** The newest final head that the service can deliver up to; else the one at the last planned message's block. */
  async function chooseHead(
    lane: ProvingLane,
    planned: BatchWanted["planned"],
  ): Promise<{ state: StateProof; head: ProvenHead } | undefined> {
    const last = planned.at(-1) ?? planned[0];
    const blocks = ["final" as const, ...(last.progress.sent ? [last.progress.sent.block] : [])];
    for (const block of blocks) {
      const state = await headAt(lane, block);
      const head = provenHead(state);
      if (head.nonce < last.nonce) continue;
      const ids = await idsBetween(db, lane, last.nonce, head, mostLaterIds);
      if (ids) return { state, head };
    }
    return undefined;
  }

  return async ({ lane, ...wanted }) => {
    if (!canProve(lane)) throw new LockstepError("config-invalid", `${laneName(lane)} cannot be delivered by proof`);
    const [first] = wanted.planned;
    const kept = await findHeader(db, lane);
    if (!kept || kept.generation !== wanted.generation || kept.nonce < first.nonce) {
      return begin({ lane, ...wanted }, kept);
    }
    const found = await look(lane, kept);
    if (found === "pending") return missing("awaiting-header", onItsWay(lane, kept.height));
    if (found === "conflict") {
      log.error({ lane: laneName(lane), height: kept.height }, "the destination knows another header of a final block");
      const detail = `${lane.destination} holds the header of another block ${kept.height} of ${lane.origin}`;
      return missing("header-conflict", detail);
    }
    if (found === undefined) return begin({ lane, ...wanted }, kept);
    try {
      return { authority: await authorityOf(lane, kept, await proofOf(lane, kept), wanted.planned) };
    } catch (error) {
      // Nodes forget the state of old blocks; a newer header does as well.
      if (!isLockstepError(error, "chain-request-refused")) throw error;
      return begin({ lane, ...wanted }, kept);
    }
  };

  async function authorityOf(
    lane: ProvingLane,
    header: LaneHeader,
    state: StateProof,
    planned: BatchWanted["planned"],
  ): Promise<Authority> {
    const ids = await idsBetween(db, lane, planned[0].nonce - 1n, header, mostLaterIds + BigInt(planned.length));
    if (!ids)
      throw new LockstepError("lane-broken", `messages of ${laneName(lane)} up to ${header.nonce} are not known`);
    const { accountProof, storage } = state;
    const storageProof = storage[0]?.proof ?? [];
    const proof = [...accountProof, ...storageProof].map(size);
    const covered = planned.filter(({ nonce }) => nonce <= header.nonce);
    const shapeOf = (messages: readonly OpenMessage[]): DeliveryShape => ({
      ...{ messages, validators: 0, signatures: 0, laterIds: ids.length - messages.length, proof },
    });
    // The plan did not know how much room the proof and the ids take; a single message always leaves enough.
    while (covered.length > 1 && !fits(shapeOf(covered))) covered.pop();
    return {
      nonce: (covered.at(-1) ?? planned[0]).nonce,
      epoch: header.epoch,
      keep: async () => undefined,
      encode(firstNonce, messages) {
        const skipped = Number(firstNonce - planned[0].nonce) + messages.length;
        const laterIds = ids.slice(skipped);
        const data = encodeDeliverProven({
          ...{ originChainId: lane.from.chain.chainId, blockNumber: header.height, accountProof, storageProof },
          ...{ firstNonce, messages, laterIds },
        });
        return { data, shape: { validators: 0, signatures: 0, laterIds: laterIds.length, proof } };
      },
    };
  }
}

const fits = (shape: DeliveryShape): boolean =>
  deliveryGas(shape) <= transactionGasCap && deliverCalldataBytes(shape) <= calldataCap;

const headAt = (lane: ProvingLane, block: "final" | bigint): Promise<StateProof> =>
  lane.from.prove({ address: lane.from.gateway, slots: headSlots(lane.to.chain.chainId) }, block);

const canProve = (lane: LaneEnds): lane is ProvingLane =>
  lane.from.prove !== undefined && lane.to.stateOracle !== undefined;

const missing = (code: ReasonCode, detail: string): { missing: Missing } => ({ missing: { code, detail } });

const onItsWay = ({ origin, destination }: LaneEnds, height: bigint): string =>
  `the header of ${origin}'s block ${height} is on its way to ${destination}`;
