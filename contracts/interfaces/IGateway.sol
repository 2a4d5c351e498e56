// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IFees} from "./IFees.sol";
import {IInbox} from "./IInbox.sol";
import {ILanes} from "./ILanes.sol";
import {IOutbox} from "./IOutbox.sol";
import {IRecovery} from "./IRecovery.sol";
import {IValidatorSet} from "./IValidatorSet.sol";

/**
 * @title A gateway for messages between chains
 * @notice ERC-7786, source and destination. Messages from one chain to another form a lane with consecutive nonces
 * from 1 and a hash chain over their ids, `accumulator(n) = keccak256(accumulator(n-1) ‖ id(n))`, starting at zero.
 * Validators sign (nonce, accumulator) of the origin; whoever brings their signatures and the messages delivers them.
 *
 * Slots that storage proofs may rely on, with `base` the ERC-7201 slot of `lockstep.storage.Gateway`
 * (0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900): the outbound head to chain `d` is at
 * `keccak256(abi.encode(d, base))`, the inbound head from chain `o` at `keccak256(abi.encode(o, base + 1))`. The
 * accumulator is the first slot; the second has the nonce in its low 64 bits and the generation in the next 32.
 *
 * The code is in two contracts that share the proxy's storage: `Gateway` has what every message passes through, and
 * hands every other call to `GatewayControl`.
 */
interface IGateway is IOutbox, IInbox, ILanes, IFees, IValidatorSet, IRecovery, IERC5267 {
    /// @notice Once per proxy: who decides about access (an OpenZeppelin AccessManager).
    function initialize(address authority) external;
}
