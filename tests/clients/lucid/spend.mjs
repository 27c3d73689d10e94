// Locks at a Plutus script and spends from it with Lucid Evolution and its Blockfrost provider, then looks it up.
//
// Reads {url, key, script} as JSON from standard input: the API's base URL, an Ed25519 signing key and a Plutus V3
// script that wants its redeemer to equal its datum, both in hex. Writes {locked, spent}: the ids of the transactions.

import assert from "node:assert/strict";
import { Data, validatorToAddress, validatorToScriptHash } from "@lucid-evolution/lucid";
import { connect, get, plutus, submit } from "./wallet.mjs";

const DATUM = Data.to(42n);
const LOVELACE = 10_000_000n;

const { lucid, task } = await connect();
const validator = plutus(task.script);
const atScript = validatorToAddress("Custom", validator);

assert.deepEqual(await lucid.utxosAt(atScript), [], "an address that nothing was sent to holds nothing");
// One output with its datum inline, one with the datum's hash only, and one that holds the script.
const locked = await submit(
  lucid,
  lucid
    .newTx()
    .pay.ToContract(atScript, { kind: "inline", value: DATUM }, { lovelace: LOVELACE })
    .pay.ToContract(atScript, { kind: "asHash", value: DATUM }, { lovelace: LOVELACE })
    .pay.ToAddressWithData(await lucid.wallet().address(), undefined, { lovelace: LOVELACE }, validator),
);
const outputs = await lucid.utxosAt(atScript);
assert.equal(outputs.length, 2);
await assert.rejects(spending(Data.to(43n)).complete({ localUPLCEval: false }), /ScriptFailures/);
const spent = await submit(lucid, spending(DATUM));
await lookUp();
console.log(JSON.stringify({ locked, spent }));

// A draft that takes all that is locked.
function spending(argument) {
  return lucid.newTx().collectFrom(outputs, argument).attach.SpendingValidator(validator);
}

async function lookUp() {
  const hash = validatorToScriptHash(validator);
  const redeemers = await get(task, `/txs/${spent}/redeemers`);
  assert.deepEqual(redeemers.map((one) => [one.purpose, one.script_hash]), [["spend", hash], ["spend", hash]]);
  assert.deepEqual(await lucid.utxosAt({ type: "Script", hash }), [], "nothing is left at the script");
  const [reference] = await lucid.utxosByOutRef([{ txHash: locked, outputIndex: 2 }]);
  assert.equal(validatorToScriptHash(reference.scriptRef), hash);
}
