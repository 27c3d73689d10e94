// Locks at a Plutus script and spends from it with Lucid Evolution and its Blockfrost provider, then looks it up.
//
// Reads {url, key, script} as JSON from standard input: the API's base URL, an Ed25519 signing key and a Plutus V3
// script that wants its redeemer to equal its datum, both in hex. Writes {locked, spent}: the ids of the transactions.

import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import {
  Blockfrost,
  CML,
  Data,
  Lucid,
  SLOT_CONFIG_NETWORK,
  applyDoubleCborEncoding,
  validatorToAddress,
  validatorToScriptHash,
} from "@lucid-evolution/lucid";

const DATUM = Data.to(42n);
const LOVELACE = 10_000_000n;
const POLL_MS = 50;

const task = JSON.parse(await text(process.stdin));
const provider = new Blockfrost(task.url, "devnet");
const genesis = await get("/genesis");
SLOT_CONFIG_NETWORK.Custom = {
  zeroTime: genesis.system_start * 1_000,
  zeroSlot: 0,
  slotLength: genesis.slot_length * 1_000,
};
const lucid = await Lucid(provider, "Custom");
const key = CML.PrivateKey.from_normal_bytes(Buffer.from(task.key, "hex"));
lucid.selectWallet.fromPrivateKey(key.to_bech32());
const validator = { type: "PlutusV3", script: applyDoubleCborEncoding(task.script) };
const atScript = validatorToAddress("Custom", validator);

assert.deepEqual(await lucid.utxosAt(atScript), [], "an address that nothing was sent to holds nothing");
const locked = await lock();
await refuseWrongRedeemer();
const spent = await spend();
await lookUp();
console.log(JSON.stringify({ locked, spent }));

// One output with its datum inline, one with the datum's hash only, and one that holds the script.
async function lock() {
  const draft = lucid
    .newTx()
    .pay.ToContract(atScript, { kind: "inline", value: DATUM }, { lovelace: LOVELACE })
    .pay.ToContract(atScript, { kind: "asHash", value: DATUM }, { lovelace: LOVELACE })
    .pay.ToAddressWithData(await lucid.wallet().address(), undefined, { lovelace: LOVELACE }, validator);
  return submit(await draft.complete());
}

async function refuseWrongRedeemer() {
  const draft = spending(await lucid.utxosAt(atScript), Data.to(43n));
  await assert.rejects(draft.complete({ localUPLCEval: false }), /ScriptFailures/);
}

async function spend() {
  const outputs = await lucid.utxosAt(atScript);
  assert.equal(outputs.length, 2);
  return submit(await spending(outputs, DATUM).complete({ localUPLCEval: false }));
}

// A draft that takes all that is locked; completing it has the API evaluate it.
function spending(outputs, argument) {
  return lucid.newTx().collectFrom(outputs, argument).attach.SpendingValidator(validator);
}

// Submits, and waits until the transaction is in a block.
async function submit(draft) {
  const signed = await draft.sign.withWallet().complete();
  const id = await signed.submit();
  await lucid.awaitTx(id, POLL_MS);
  return id;
}

async function lookUp() {
  const hash = validatorToScriptHash(validator);
  const redeemers = await get(`/txs/${spent}/redeemers`);
  assert.deepEqual(redeemers.map((one) => [one.purpose, one.script_hash]), [["spend", hash], ["spend", hash]]);
  assert.deepEqual(await lucid.utxosAt({ type: "Script", hash }), [], "nothing is left at the script");
  const [reference] = await lucid.utxosByOutRef([{ txHash: locked, outputIndex: 2 }]);
  assert.equal(validatorToScriptHash(reference.scriptRef), hash);
}

async function get(path) {
  const response = await fetch(task.url + path);
  assert.equal(response.status, 200, path);
  return response.json();
}
