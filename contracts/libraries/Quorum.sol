// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IValidatorSet, QuorumSet, Rule, Signature, Threshold, Validator} from "../interfaces/IValidatorSet.sol";

/// @dev The arithmetic of validator sets. Weights are 96 bits, so that no sum or product below can overflow.
library Quorum {
    /// @dev So that a delivery with the highest gas limit fits into a transaction (2^24 gas) under any quorum.
    uint256 internal constant MOST_VALIDATORS = 128;

    /// @dev Reverts unless the set is sorted, without zeros and duplicates, and its rule can be met and means a choice.
    function validate(QuorumSet calldata set) internal pure {
        uint256 count = set.validators.length;
        require(count > 0, IValidatorSet.EmptySet());
        require(count <= MOST_VALIDATORS, IValidatorSet.TooManyValidators(count, MOST_VALIDATORS));
        address previous = address(0);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            address account = accountOf(set.validators[i]);
            // Starting from zero, this refuses the zero address and duplicates as well.
            require(previous < account, IValidatorSet.ValidatorsNotSorted(previous, account));
            uint256 weight = weightOf(set.validators[i]);
            require(weight > 0, IValidatorSet.ZeroWeight(account));
            previous = account;
            total += weight;
        }
        require(_isValid(set.threshold, total), IValidatorSet.InvalidThreshold(set.threshold, total));
    }

    /**
     * @dev Reverts unless the signers of the digest reach the set's threshold. The set is taken as validated: callers
     * compare its hash with a stored one first. Signatures come sorted by signer, one each. A validator whose bit is
     * set in `excluded` weighs nothing, neither in the sum nor in the total.
     */
    function check(
        QuorumSet calldata set,
        Signature[] calldata signatures,
        bytes32 digest,
        uint256 excluded
    ) internal pure {
        Validator[] calldata validators = set.validators;
        uint256 weight = 0;
        uint256 total = 0;
        uint256 used = 0;
        address signer = _signer(signatures, used, digest, address(0));
        // Both lists ascend, so one walk over the set meets every signer. 128 weights of 96 bits cannot overflow.
        unchecked {
            for (uint256 i = 0; i < validators.length; ++i) {
                Validator validator = validators[i];
                uint256 own = (excluded >> i) & 1 == 0 ? weightOf(validator) : 0;
                total += own;
                if (accountOf(validator) == signer) {
                    weight += own;
                    signer = _signer(signatures, ++used, digest, signer);
                }
            }
        }
        require(used == signatures.length, IValidatorSet.UnknownSigner(signer));
        require(reached(set.threshold, weight, total), IValidatorSet.NoQuorum(weight, total));
    }

    /// @dev What is stored of a set, bound to its origin and epoch so that no set stands in for another.
    function setHash(uint256 originChainId, uint64 epoch, QuorumSet calldata set) internal pure returns (bytes32) {
        return keccak256(abi.encode(originChainId, epoch, set));
    }

    /// @dev Whether a weight out of a total satisfies the rule.
    function reached(Threshold threshold, uint256 weight, uint256 total) internal pure returns (bool) {
        (uint256 rule, uint256 value, uint256 outOf) = _partsOf(threshold);
        if (rule == uint256(Rule.SimpleMajority)) return weight * 2 > total;
        if (rule == uint256(Rule.AbsoluteWeight)) return weight >= value;
        return weight * outOf > total * value;
    }

    /**
     * @dev Where an account stands in a set, and whether the set can do without it besides those already excluded:
     * together they may weigh at most a third.
     */
    function exclusionOf(
        QuorumSet calldata set,
        address account,
        uint256 excluded
    ) internal pure returns (uint256 bit, bool tolerable) {
        uint256 total = 0;
        uint256 gone = 0;
        for (uint256 i = 0; i < set.validators.length; ++i) {
            uint256 weight = weightOf(set.validators[i]);
            bool isAccount = accountOf(set.validators[i]) == account;
            if (isAccount) bit = 1 << i;
            total += weight;
            if (isAccount || excluded & (1 << i) != 0) gone += weight;
        }
        require(bit != 0, IValidatorSet.UnknownSigner(account));
        require(excluded & bit == 0, IValidatorSet.AlreadyExcluded(account));
        tolerable = gone * 3 <= total;
    }

    function accountOf(Validator validator) internal pure returns (address) {
        return address(uint160(Validator.unwrap(validator) >> 96));
    }

    function weightOf(Validator validator) internal pure returns (uint256) {
        return uint96(Validator.unwrap(validator));
    }

    /// @dev Who made the signature at a place of the list, zero after its end. Signers must ascend.
    function _signer(
        Signature[] calldata signatures,
        uint256 index,
        bytes32 digest,
        address previous
    ) private pure returns (address signer) {
        if (index == signatures.length) return address(0);
        signer = ECDSA.recover(digest, signatures[index].r, signatures[index].vs);
        require(previous < signer, IValidatorSet.SignersNotSorted(previous, signer));
    }

    /// @dev Numbers that a rule does not use must be zero, so that a set has one spelling.
    function _isValid(Threshold threshold, uint256 total) private pure returns (bool) {
        (uint256 rule, uint256 value, uint256 outOf) = _partsOf(threshold);
        // Under one half, two disjoint quorums could sign two histories.
        if (rule == uint256(Rule.AbsoluteWeight)) return value * 2 > total && value <= total && outOf == 0;
        if (rule == uint256(Rule.SimpleMajority)) return value == 0 && outOf == 0;
        return rule == uint256(Rule.SuperMajority) && value < outOf && value * 2 >= outOf;
    }

    function _partsOf(Threshold threshold) private pure returns (uint256 rule, uint256 value, uint256 outOf) {
        uint256 word = Threshold.unwrap(threshold);
        return (word >> 240, uint120(word >> 120), uint120(word));
    }
}
