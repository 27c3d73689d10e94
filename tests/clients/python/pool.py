"""Registers a stake pool, delegates to it and announces its retirement, with pycardano.

Reads {"url", "key"} as JSON from standard input: the API's base URL and an Ed25519 signing key in hex, which is the
pool's cold key and the delegator's stake key too. Writes {"pool_registered", "pool_retired", "pool", "delegator"}: the
ids of the transactions, and of the pool and the account.
"""

import json
import sys
import time
from fractions import Fraction

from blockfrost import ApiError
from pycardano import (
    Address,
    BlockFrostChainContext,
    Network,
    PaymentSigningKey,
    PaymentVerificationKey,
    PoolKeyHash,
    PoolParams,
    PoolRegistration,
    PoolRetirement,
    RewardAccountHash,
    SingleHostName,
    StakeCredential,
    StakeDelegation,
    StakeRegistration,
    TransactionBuilder,
    VerificationKeyHash,
    VrfKeyHash,
)
from pycardano.pool_params import PoolMetadata, PoolMetadataHash

LAST_EPOCH = 3
DEADLINE_S = 30


def main():
    task = json.load(sys.stdin)
    context = BlockFrostChainContext("devnet", base_url=task["url"].removesuffix("/v0"))
    key = PaymentSigningKey(bytes.fromhex(task["key"]))
    key_hash = PaymentVerificationKey.from_signing_key(key).hash()
    pool = PoolKeyHash(key_hash.payload)
    owner = VerificationKeyHash(key_hash.payload)
    delegator = Address(staking_part=owner, network=Network.TESTNET)
    stake = StakeCredential(owner)
    params = PoolParams(
        operator=pool,
        vrf_keyhash=VrfKeyHash(bytes(32)),
        pledge=1_000_000,
        cost=context.protocol_param.min_pool_cost,
        margin=Fraction(1, 50),
        reward_account=RewardAccountHash(bytes(delegator)),
        pool_owners=[owner],
        relays=[SingleHostName(port=3001, dns_name="relay.example")],
        pool_metadata=PoolMetadata("https://pool.example/pool.json", PoolMetadataHash(bytes(32))),
    )
    registration = [StakeRegistration(stake), PoolRegistration(params), StakeDelegation(stake, pool)]
    registered = submit(context, key, registration)
    account = context.api.accounts(str(delegator))
    assert account.active and account.pool_id == context.api.pools()[0], account
    retired = submit(context, key, [PoolRetirement(pool, LAST_EPOCH)])
    report = {"pool_registered": registered, "pool_retired": retired}
    print(json.dumps({**report, "pool": account.pool_id, "delegator": str(delegator)}))


def submit(context, key, certificates):
    """Submits certificates, and waits until they are in a block."""
    address = Address(PaymentVerificationKey.from_signing_key(key).hash(), network=Network.TESTNET)
    builder = TransactionBuilder(context)
    builder.initial_stake_pool_registration = True
    builder.add_input_address(address)
    builder.certificates = certificates
    transaction = builder.build_and_sign([key], address)
    context.submit_tx(transaction)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            return context.api.transaction(str(transaction.id)).hash
        except ApiError as error:
            assert error.status_code == 404, error
            time.sleep(0.05)
    raise AssertionError(f"{transaction.id} is in no block after {DEADLINE_S} s")


main()
