// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IGateway} from "./interfaces/IGateway.sol";
import {IStateOracle} from "./interfaces/IStateOracle.sol";
import {QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {HeaderHash} from "./libraries/HeaderHash.sol";
import {StateProof} from "./libraries/StateProof.sol";
import {TypedData} from "./libraries/TypedData.sol";

/// @dev What it does and promises is said in {IStateOracle}. One per chain, behind an ERC-1967 proxy.
contract StateOracle is IStateOracle, IERC5267, AccessManagedUpgradeable, UUPSUpgradeable {
    /// @custom:storage-location erc7201:lockstep.storage.StateOracle
    struct StateOracleStorage {
        IGateway gateway;
        mapping(uint256 originChainId => mapping(uint64 number => AttestedHeader)) headers;
    }

    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.StateOracle")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STATE_ORACLE_STORAGE = 0x5de0889cd2a877d9d773cef2aed865978349d1cf850f8cefa8ad699247de1a00;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IStateOracle
    function initialize(address authority, IGateway gateway_) external initializer {
        require(address(gateway_).code.length > 0, InvalidGateway(address(gateway_)));
        __AccessManaged_init(authority);
        _stateOracleStorage().gateway = gateway_;
    }

    /// @inheritdoc IStateOracle
    function attestHeader(
        Header calldata header,
        bytes calldata rlpHeader,
        QuorumSet calldata set,
        Signature[] calldata signatures
    ) external {
        _requireGeneration(header.originChainId, header.generation);
        if (_isKnown(header)) return;

        gateway().requireQuorum(header.originChainId, header.epoch, set, signatures, headerDigest(header));
        bytes32 stateRoot = StateProof.stateRoot(rlpHeader, header.blockHash, header.number);
        _store(header, stateRoot);
    }

    /// @inheritdoc IStateOracle
    function headerOf(uint256 originChainId, uint64 number) external view returns (AttestedHeader memory) {
        return _stateOracleStorage().headers[originChainId][number];
    }

    /// @inheritdoc IStateOracle
    function accountAt(
        uint256 originChainId,
        uint64 number,
        address account,
        bytes[] calldata accountProof
    ) external view returns (Account memory) {
        return StateProof.account(stateRootAt(originChainId, number), account, accountProof);
    }

    /// @inheritdoc IStateOracle
    function storageAt(
        uint256 originChainId,
        uint64 number,
        address account,
        bytes32 slot,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) external view returns (bytes32 value) {
        bytes32 root = StateProof.account(stateRootAt(originChainId, number), account, accountProof).storageRoot;
        return StateProof.storageSlot(root, slot, storageProof);
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (0x0f, HeaderHash.NAME, TypedData.VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    /// @inheritdoc IStateOracle
    function gateway() public view returns (IGateway) {
        return _stateOracleStorage().gateway;
    }

    /// @inheritdoc IStateOracle
    function stateRootAt(uint256 originChainId, uint64 number) public view returns (bytes32) {
        AttestedHeader memory stored = _stateOracleStorage().headers[originChainId][number];
        require(stored.blockHash != 0, UnknownHeader(originChainId, number));
        _requireGeneration(originChainId, stored.generation);
        require(!_isRevoked(originChainId, stored.epoch), EpochRevoked(originChainId, stored.epoch));
        return stored.stateRoot;
    }

    /// @inheritdoc IStateOracle
    function headerDigest(Header calldata header) public view returns (bytes32) {
        return HeaderHash.digest(header);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _store(Header calldata header, bytes32 stateRoot) private {
        _stateOracleStorage().headers[header.originChainId][header.number] = AttestedHeader({
            blockHash: header.blockHash,
            stateRoot: stateRoot,
            epoch: header.epoch,
            generation: header.generation
        });
        emit HeaderAttested(
            header.originChainId,
            header.number,
            header.blockHash,
            stateRoot,
            header.generation,
            header.epoch
        );
    }

    /// @dev Whether the very header is stored and counts; reverts if another one of its number does.
    function _isKnown(Header calldata header) private view returns (bool) {
        AttestedHeader storage stored = _stateOracleStorage().headers[header.originChainId][header.number];
        bytes32 attested = stored.blockHash;
        if (attested == 0 || stored.generation != header.generation) return false;
        if (_isRevoked(header.originChainId, stored.epoch)) return false;
        require(
            attested == header.blockHash,
            HeaderConflict(header.originChainId, header.number, attested, header.blockHash)
        );
        return true;
    }

    function _requireGeneration(uint256 originChainId, uint32 given) private view {
        uint32 expected = gateway().inboundHead(originChainId).generation;
        require(given == expected, WrongGeneration(expected, given));
    }

    /// @dev The gateway says of a revoked epoch that it was never valid; one that expired keeps its last second.
    function _isRevoked(uint256 originChainId, uint64 epoch) private view returns (bool) {
        (, uint64 validUntil, ) = gateway().epochInfo(originChainId, epoch);
        return validUntil == 0;
    }

    function _stateOracleStorage() private pure returns (StateOracleStorage storage $) {
        assembly {
            $.slot := STATE_ORACLE_STORAGE
        }
    }
}
