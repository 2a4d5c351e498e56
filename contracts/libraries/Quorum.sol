// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IValidatorSet, QuorumSet, Rule, Signature, Threshold, Validator} from "../interfaces/IValidatorSet.sol";

/// @dev The arithmetic of validator sets. Weights are 96 bits, so that no sum or product below can overflow.
library Quorum {
    /// @dev Reverts unless the set is sorted, without zeros and duplicates, and its rule can be met and means a choice.
    function validate(QuorumSet calldata set) internal pure {
        uint256 count = set.validators.length;
        require(count > 0, IValidatorSet.EmptySet());
        address previous = address(0);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            Validator calldata validator = set.validators[i];
            // Starting from zero, this refuses the zero address and duplicates as well.
            require(previous < validator.account, IValidatorSet.ValidatorsNotSorted(previous, validator.account));
            require(validator.weight > 0, IValidatorSet.ZeroWeight(validator.account));
            previous = validator.account;
            total += validator.weight;
        }
        require(_isValid(set.threshold, total), IValidatorSet.InvalidThreshold(set.threshold, total));
    }

    /**
     * @dev Reverts unless the signers of the digest reach the set's threshold. The set is taken as validated: callers
     * compare its hash with a stored one first. Signatures come sorted by signer, one each.
     */
    function check(QuorumSet calldata set, Signature[] calldata signatures, bytes32 digest) internal pure {
        uint256 count = set.validators.length;
        uint256 cursor = 0;
        uint256 weight = 0;
        uint256 total = 0;
        address previous = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = ECDSA.recover(digest, signatures[i].r, signatures[i].vs);
            require(previous < signer, IValidatorSet.SignersNotSorted(previous, signer));
            previous = signer;
            // Both lists ascend, so one walk over the set finds every signer.
            while (cursor < count && set.validators[cursor].account < signer) total += set.validators[cursor++].weight;
            require(
                cursor < count && set.validators[cursor].account == signer,
                IValidatorSet.UnknownSigner(signer)
            );
            uint256 own = set.validators[cursor++].weight;
            total += own;
            weight += own;
        }
        while (cursor < count) total += set.validators[cursor++].weight;
        require(reached(set.threshold, weight, total), IValidatorSet.NoQuorum(weight, total));
    }

    /// @dev Whether a weight out of a total satisfies the rule.
    function reached(Threshold calldata threshold, uint256 weight, uint256 total) internal pure returns (bool) {
        if (threshold.rule == Rule.AbsoluteWeight) return weight >= threshold.value;
        if (threshold.rule == Rule.SimpleMajority) return weight * 2 > total;
        return weight * threshold.outOf > total * threshold.value;
    }

    /// @dev Numbers that a rule does not use must be zero, so that a set has one spelling.
    function _isValid(Threshold calldata threshold, uint256 total) private pure returns (bool) {
        (uint256 value, uint256 outOf) = (threshold.value, threshold.outOf);
        if (threshold.rule == Rule.AbsoluteWeight) return value > 0 && value <= total && outOf == 0;
        if (threshold.rule == Rule.SimpleMajority) return value == 0 && outOf == 0;
        // Under one half, two disjoint quorums could sign two histories.
        return value < outOf && value * 2 >= outOf;
    }
}
