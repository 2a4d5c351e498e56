// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/**
 * @title What sending costs
 * @notice An operator feeds the price of gas at a destination; senders pay in this chain's native coin, with the
 * message or from credit that anyone may have deposited for them. A lane without a price is free.
 */
interface IFees {
    /**
     * @param gasPrice wei of the destination's coin for one unit of gas; zero makes the lane free
     * @param exchangeRate wei of this chain's coin for 10^18 wei of the destination's
     * @param overhead gas that delivering one message takes besides its gas limit and payload
     * @param validUntil Unix seconds from which on the price is stale and nothing can be sent
     */
    struct Price {
        uint96 gasPrice;
        uint96 exchangeRate;
        uint24 overhead;
        uint40 validUntil;
    }

    event PriceSet(uint256 indexed destination, Price price);
    event Deposited(address indexed account, address indexed from, uint256 amount);
    /// @dev Comes right before the `MessageSent` that was paid for.
    event FeePaid(address indexed sender, uint256 amount);
    event CreditWithdrawn(address indexed account, address indexed to, uint256 amount);
    event FeesCollected(address indexed to, uint256 amount);

    error StalePrice(uint256 destination, uint256 validUntil);
    error InvalidPrice(Price price);
    error InsufficientPayment(uint256 fee, uint256 available);
    error InsufficientCredit(address account, uint256 credit, uint256 amount);
    error PaymentRejected(address to, uint256 amount);

    /// @notice An operator feeds the price of a destination.
    function setPrice(uint256 destination, Price calldata price) external;

    /// @notice Adds the value to what `account` can spend on messages. Anyone may.
    function depositFor(address account) external payable;

    /// @notice Pays out credit of the caller.
    function withdrawCredit(address to, uint256 amount) external;

    /// @notice Governance takes out what was paid for messages; credit is out of its reach.
    function collectFees(address to) external;

    /// @notice Wei that an account can spend on messages.
    function creditOf(address account) external view returns (uint256);

    function priceOf(uint256 destination) external view returns (Price memory);
}
