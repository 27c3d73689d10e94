"""Locks at a Plutus script and spends from it with pycardano and blockfrost-python, then looks the spend up.

Reads {"url", "key", "script"} as JSON from standard input: the API's base URL, an Ed25519 signing key and a Plutus V3
script that wants its redeemer to equal its datum, both in hex. Writes {"locked", "spent"}: the ids of the transactions.
"""

import json
import sys
import time

from blockfrost import ApiError
from pycardano import (
    Address,
    BlockFrostChainContext,
    Network,
    PaymentSigningKey,
    PaymentVerificationKey,
    PlutusV3Script,
    Redeemer,
    TransactionBuilder,
    TransactionFailedException,
    TransactionOutput,
    datum_hash,
    plutus_script_hash,
)

DATUM = 42
LOVELACE = 10_000_000
DEADLINE_S = 30


def main():
    task = json.load(sys.stdin)
    # The library adds the version itself.
    context = BlockFrostChainContext("devnet", base_url=task["url"].removesuffix("/v0"))
    key = PaymentSigningKey(bytes.fromhex(task["key"]))
    owner = Address(PaymentVerificationKey.from_signing_key(key).hash(), network=Network.TESTNET)
    script = PlutusV3Script(bytes.fromhex(task["script"]))
    at_script = Address(plutus_script_hash(script), network=Network.TESTNET)

    assert context.utxos(at_script) == [], "an address that nothing was sent to holds nothing"
    locked = lock(context, key, owner, at_script)
    refuse_wrong_redeemer(context, owner, script, at_script)
    spent = spend(context, key, owner, script, at_script)
    look_up(context, spent, script)
    print(json.dumps({"locked": locked, "spent": spent}))


def lock(context, key, owner, at_script):
    """One output with its datum inline, one with the datum's hash only."""
    builder = TransactionBuilder(context)
    builder.add_input_address(owner)
    builder.add_output(TransactionOutput(at_script, LOVELACE, datum=DATUM))
    builder.add_output(TransactionOutput(at_script, LOVELACE, datum_hash=datum_hash(DATUM)))
    return submit(context, builder.build_and_sign([key], owner))


def refuse_wrong_redeemer(context, owner, script, at_script):
    try:
        spending(context, owner, script, at_script, DATUM + 1).build(change_address=owner)
    except TransactionFailedException as refused:
        assert "ScriptFailures" in str(refused), refused
    else:
        raise AssertionError("the evaluation took a redeemer that the script refuses")


def spend(context, key, owner, script, at_script):
    builder = spending(context, owner, script, at_script, DATUM)
    return submit(context, builder.build_and_sign([key], owner))


def spending(context, owner, script, at_script, argument):
    """A draft that takes all that is locked; building it has the API evaluate it."""
    builder = TransactionBuilder(context)
    builder.add_input_address(owner)
    locked = context.utxos(at_script)
    assert len(locked) == 2, locked
    for utxo in locked:
        datum = None if utxo.output.datum is not None else DATUM
        builder.add_script_input(utxo, script=script, datum=datum, redeemer=Redeemer(argument))
    return builder


def submit(context, transaction):
    """Submits, and waits until the transaction is in a block."""
    identity = context.submit_tx(transaction)
    identity = identity or str(transaction.id)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            assert context.api.transaction(identity).valid_contract
            return identity
        except ApiError as error:
            assert error.status_code == 404, error
            time.sleep(0.05)
    raise AssertionError(f"{identity} is in no block after {DEADLINE_S} s")


def look_up(context, spent, script):
    api = context.api
    redeemers = api.transaction_redeemers(spent)
    assert [one.purpose for one in redeemers] == ["spend", "spend"], redeemers
    script_hash = str(plutus_script_hash(script))
    assert all(one.script_hash == script_hash for one in redeemers), redeemers
    assert all(one.redeemer_data_hash == str(datum_hash(DATUM)) for one in redeemers), redeemers
    inputs = api.transaction_utxos(spent).inputs
    assert sum(one.data_hash == str(datum_hash(DATUM)) for one in inputs) == 2, inputs
    assert api.script(script_hash).type == "plutusV3"
    assert api.script_datum_cbor(str(datum_hash(DATUM))).cbor == "182a"


main()
