// Bodies and answers as they are on the wire, from a local network; long lists are cut short.

export const orderExample = {
  source: {
    chain: "alpha",
    asset: {
      type: "native",
    },
    amount: "1000000000000000",
  },
  target: {
    chain: "beta",
    asset: {
      type: "native",
    },
    amount: "2500000000000000",
  },
  initiator: {
    account: "alice",
  },
  counterparty: {
    account: "bob",
  },
};

export const swapExample = {
  id: "5036b393-1377-4f79-a7ff-3bea623db5c1",
  status: "completed",
  reason: {
    code: "ended",
    message: "nothing is left to do",
  },
  hashlock: "0x7091d5081cbb078333667f1445ff4e1945187ece2d36e9893fed5eee204d88cd",
  initiator: {
    account: "alice",
    address: "0xff20f910c50c2966F7397762ddC0f0aba5752510",
  },
  counterparty: {
    account: "bob",
    address: "0x89c60E85C66FB546Dd3D16BA52Ef91747f11C988",
  },
  source: {
    chain: "alpha",
    contract: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
    lockId: "0xd5131875d35ad26975346ede3b505e9f303f352745a46abeb95bd1c377714267",
    asset: {
      type: "native",
    },
    amount: "1000000000000000000",
    sender: "0xff20f910c50c2966F7397762ddC0f0aba5752510",
    recipient: "0x89c60E85C66FB546Dd3D16BA52Ef91747f11C988",
    timelock: "1795304092",
    state: "claimed",
    lock: {
      transactionHash: "0x0bf21d6f0fd44adbeee4b5a7c1f1aaa402af86fe84879fbf68b281708073aec7",
      blockNumber: "21",
      final: true,
    },
    end: {
      transactionHash: "0x70e6e7831ecf886ef4d331faff38205b1ab1dbbced2c7d1e7fd7fd014473d9c2",
      blockNumber: "22",
      final: true,
    },
  },
  target: {
    chain: "beta",
    contract: "0x2De885436cF5db8cD0ea7620F93CE5dB9C44dF7F",
    lockId: "0x0fdbcf08f4aecb2232ba7984373878871dc1b55c3e717a0d0a2e9b7f724ca143",
    asset: {
      type: "erc20",
      address: "0x16C756c96b1CaB81384f503750fc3aC5bA3800c3",
    },
    amount: "2500000000",
    sender: "0x89c60E85C66FB546Dd3D16BA52Ef91747f11C988",
    recipient: "0xff20f910c50c2966F7397762ddC0f0aba5752510",
    timelock: "1795304078",
    state: "claimed",
    lock: {
      transactionHash: "0x5af22246dcf69ccc19c8e9bf90e652fe9dc45c1f7569779e101f532487a4b58d",
      blockNumber: "22",
      final: true,
    },
    end: {
      transactionHash: "0xc3f4073d5a77e5f59aa52fabc9968b057178eed50d79804cdbbded3037e269a6",
      blockNumber: "23",
      final: true,
    },
  },
  deadlines: {
    sourceLockBy: "1795304057",
    counterLockBy: "1795304063",
    revealBy: "1795304069",
  },
  createdAt: "2026-11-21T23:33:56.099Z",
  timeline: [
    {
      at: "2026-11-21T23:33:56.099Z",
      what: "SwapRequested",
    },
    {
      at: "2026-11-21T23:33:58.753Z",
      what: "LegClaimFinalized",
      leg: "source",
      blockNumber: "22",
    },
  ],
};

export const quoteRequestExample = {
  source: {
    chain: "alpha",
    asset: {
      type: "native",
    },
    amount: "1000000000000000000",
  },
  target: {
    chain: "beta",
    asset: {
      type: "erc20",
      address: "0x16C756c96b1CaB81384f503750fc3aC5bA3800c3",
    },
  },
};

export const quoteExample = {
  quote: "eyJ2ZXJzaW9uIjoxLCJub25jZSI6Ijg4ZDUzZjNi",
  expiresAt: "1795304099",
  source: quoteRequestExample.source,
  target: { ...quoteRequestExample.target, amount: "2492500000" },
  fee: "7500000",
  price: {
    numerator: "2500",
    denominator: "1",
    at: "2026-11-21T23:33:54.377Z",
  },
  counterparty: {
    account: "desk",
    address: "0x925D7B6C195621D842E11d13633BFe8aA8307878",
  },
  timelocks: {
    source: "1795304095",
    target: "1795304081",
  },
  deadlines: {
    sourceLockBy: "1795304060",
    counterLockBy: "1795304066",
    revealBy: "1795304072",
  },
  gas: {
    source: "3309441312000000",
    target: "3728975789160000",
  },
};

export const deskExample = {
  counterparty: {
    account: "desk",
    address: "0x925D7B6C195621D842E11d13633BFe8aA8307878",
  },
  quoteSeconds: 60,
  slippageBps: 0,
  open: 0,
  mostOpen: 100,
  mostOpenPerTaker: 10,
  pairs: [
    {
      source: {
        chain: "alpha",
        asset: {
          type: "native",
        },
        symbol: "ETH",
        decimals: 18,
      },
      target: {
        chain: "beta",
        asset: {
          type: "erc20",
          address: "0x16C756c96b1CaB81384f503750fc3aC5bA3800c3",
        },
        symbol: "USD",
        decimals: 6,
        mostCommitted: "500000000000",
        available: "500000000000",
      },
      least: "1000000000000000",
      most: "10000000000000000000",
      feeBps: 30,
      fixedFee: "0",
      price: {
        numerator: "2500",
        denominator: "1",
        at: "2026-11-21T23:33:54.377Z",
      },
    },
  ],
};

export const lockExample = {
  chain: "beta",
  lockId: "0x0fdbcf08f4aecb2232ba7984373878871dc1b55c3e717a0d0a2e9b7f724ca143",
  state: "claimed",
  asset: {
    type: "erc20",
    address: "0x16C756c96b1CaB81384f503750fc3aC5bA3800c3",
  },
  amount: "2500000000",
  sender: "0x89c60E85C66FB546Dd3D16BA52Ef91747f11C988",
  recipient: "0xff20f910c50c2966F7397762ddC0f0aba5752510",
  hashlock: "0x7091d5081cbb078333667f1445ff4e1945187ece2d36e9893fed5eee204d88cd",
  timelock: "1795304078",
  tip: "0",
  lock: {
    transactionHash: "0x5af22246dcf69ccc19c8e9bf90e652fe9dc45c1f7569779e101f532487a4b58d",
    blockNumber: "22",
    final: true,
  },
  end: {
    transactionHash: "0xc3f4073d5a77e5f59aa52fabc9968b057178eed50d79804cdbbded3037e269a6",
    blockNumber: "23",
    final: true,
  },
  secret: "0x21caf64ab58b74bf52914b138353116f9cf4aa9455bab3b67b48f92214b39cc7",
  swap: "5036b393-1377-4f79-a7ff-3bea623db5c1",
};

export const haltRequestExample = {
  account: "bob",
  reason: "key may be stolen",
};

export const haltExample = {
  id: "44372ba8-c763-461d-b8f5-ed4db43dbcca",
  account: "bob",
  reason: "key may be stolen",
  since: "2026-11-21T23:33:59.125Z",
};

export const claimExample = {
  secret: "0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e",
};

export const signatureExample = {
  leg: "source",
  kind: "lock",
  signature:
    "0x1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b",
  nonce: "0",
  deadline: "1790000000",
};

export const decisionExample = {
  reason: "checked by phone",
  step: "lock-source",
};
