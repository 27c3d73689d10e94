// How fast Lucid Evolution's emulator is with the transactions of the devnet's bench (`cargo bench -p nunet-devnet`
// defines them): one JSON line per figure. `tests/bench-devnet` runs both.
//
// What each figure contains:
//
// - `emulator payments independent`, `… chained`: `submitTx` and `awaitBlock` only; built and signed before. The
//   emulator checks signatures, inputs, validity and witnesses, but neither fees, sizes nor value preservation.
// - `emulator script spends, scripts not run`: the same for spends from a script. `submitTx` runs no script.
// - `emulator script spends`: as before, with each transaction's script run first by Lucid's evaluator, as its builder
//   does: this is what the devnet's figure of that name is to be compared with.
// - `emulator script spends, built`: Lucid's whole way for each: coin selection, evaluation, balancing, signing and
//   `submitTx`.

import assert from "node:assert/strict";
import {
  CML,
  Data,
  Emulator,
  Lucid,
  PROTOCOL_PARAMETERS_DEFAULT,
  createCostModels,
  utxoToTransactionInput,
  utxoToTransactionOutput,
  validatorToAddress,
  applyDoubleCborEncoding,
} from "@lucid-evolution/lucid";
import * as UPLC from "@lucid-evolution/uplc";

const PER_BLOCK = 250;
const PAYMENTS = 20_000;
const SPENDS = 4_000;
// Building takes so long that fewer of them tell the rate.
const BUILT = 200;

const ADA = 1_000_000n;
const HELD = 10n * ADA;
const LOCKED = 5n * ADA;
const PAYMENT_FEE = 200_000n;
const SCRIPT_FEE = 300_000n;
const GENESIS = "00".repeat(32);
const DATUM = "182a";
const NETWORK = 0;

const payer = person(1);
const payee = person(2);
const validator = { type: "PlutusV3", script: applyDoubleCborEncoding("450101002499") };
const atScript = validatorToAddress("Custom", validator);
const costModels = createCostModels(PROTOCOL_PARAMETERS_DEFAULT.costModels);

const small = Array.from({ length: PAYMENTS }, () => ({ address: payer.address, assets: { lovelace: HELD } }));
await figure("emulator payments independent", small, (_, index) => pay(outpoint(GENESIS, index), HELD), PAYMENTS);

const large = 1_000_000n * ADA;
let change = { from: outpoint(GENESIS, 0), held: large };
const chained = () => {
  const transaction = pay(change.from, change.held);
  change = { from: outpoint(idOf(transaction), 1), held: change.held - 2n * ADA - PAYMENT_FEE };
  return transaction;
};
await figure("emulator payments chained", [{ address: payer.address, assets: { lovelace: large } }], chained, PAYMENTS);

const locked = Array.from({ length: SPENDS }, () => ({
  address: atScript,
  assets: { lovelace: LOCKED },
  outputData: { inline: DATUM },
}));
const withCollateral = [...locked, { address: payer.address, assets: { lovelace: 100n * ADA } }];
const spend = (_, index) => unlock(outpoint(GENESIS, index), outpoint(GENESIS, SPENDS));
await figure("emulator script spends, scripts not run", withCollateral, spend, SPENDS);
await figure("emulator script spends", withCollateral, spend, SPENDS, evaluate);
await built();

// Submits prepared transactions, with a block after every PER_BLOCK, and prints how long it took.
async function figure(name, accounts, make, count, before = () => {}) {
  const emulator = new Emulator(accounts);
  const transactions = Array.from({ length: count }, make).map((transaction) => transaction.to_cbor_hex());
  const began = performance.now();
  for (const [index, transaction] of transactions.entries()) {
    before(emulator, transaction);
    await emulator.submitTx(transaction);
    if ((index + 1) % PER_BLOCK === 0) emulator.awaitBlock();
  }
  emulator.awaitBlock();
  print(name, count, began);
}

async function built() {
  const emulator = new Emulator(withCollateral);
  const lucid = await Lucid(emulator, "Custom");
  lucid.selectWallet.fromPrivateKey(payer.key.to_bech32());
  const outputs = (await lucid.utxosAt(atScript)).slice(0, BUILT);
  const began = performance.now();
  for (const [index, output] of outputs.entries()) {
    const draft = lucid.newTx().collectFrom([output], Data.to(42n)).attach.SpendingValidator(validator);
    const signed = await (await draft.complete()).sign.withWallet().complete();
    await signed.submit();
    emulator.awaitBlock();
  }
  print("emulator script spends, built", BUILT, began);
}

function print(name, count, began) {
  const seconds = (performance.now() - began) / 1_000;
  console.log(JSON.stringify({ figure: name, transactions: count, seconds, per_second: count / seconds }));
}

function person(seed) {
  const key = CML.PrivateKey.from_normal_bytes(new Uint8Array(32).fill(seed));
  const credential = CML.Credential.new_pub_key(key.to_public().hash());
  const address = CML.EnterpriseAddress.new(NETWORK, credential).to_address().to_bech32();
  return { key, address };
}

function outpoint(id, index) {
  return CML.TransactionInput.new(CML.TransactionHash.from_hex(id), BigInt(index));
}

function pay(from, held) {
  const outputs = CML.TransactionOutputList.new();
  outputs.add(output(payee.address, 2n * ADA));
  outputs.add(output(payer.address, held - 2n * ADA - PAYMENT_FEE));
  return sign(CML.TransactionBody.new(inputs(from), outputs, PAYMENT_FEE), CML.TransactionWitnessSet.new());
}

function unlock(from, collateral) {
  const outputs = CML.TransactionOutputList.new();
  outputs.add(output(payer.address, LOCKED - SCRIPT_FEE));
  const body = CML.TransactionBody.new(inputs(from), outputs, SCRIPT_FEE);
  body.set_collateral_inputs(inputs(collateral));
  const witnesses = CML.TransactionWitnessSet.new();
  const redeemers = CML.LegacyRedeemerList.new();
  const units = CML.ExUnits.new(100_000n, 100_000_000n);
  redeemers.add(CML.LegacyRedeemer.new(CML.RedeemerTag.Spend, 0n, CML.PlutusData.from_cbor_hex(DATUM), units));
  witnesses.set_redeemers(CML.Redeemers.new_arr_legacy_redeemer(redeemers));
  const scripts = CML.PlutusV3ScriptList.new();
  scripts.add(CML.PlutusV3Script.from_cbor_hex(validator.script));
  witnesses.set_plutus_v3_scripts(scripts);
  const empty = CML.PlutusDataList.new();
  body.set_script_data_hash(CML.hash_script_data(witnesses.redeemers(), costModels, empty));
  return sign(body, witnesses);
}

function sign(body, witnesses) {
  const keys = CML.VkeywitnessList.new();
  keys.add(CML.make_vkey_witness(CML.hash_transaction(body), payer.key));
  witnesses.set_vkeywitnesses(keys);
  return CML.Transaction.new(body, witnesses, true);
}

function inputs(input) {
  const list = CML.TransactionInputList.new();
  list.add(input);
  return list;
}

function output(address, lovelace) {
  return CML.TransactionOutput.new(CML.Address.from_bech32(address), CML.Value.from_coin(lovelace));
}

function idOf(transaction) {
  return CML.hash_transaction(transaction.body()).to_hex();
}

// Runs a transaction's script as Lucid's builder does.
function evaluate(emulator, hex) {
  const transaction = CML.Transaction.from_cbor_hex(hex);
  const input = transaction.body().inputs().get(0);
  const { utxo } = emulator.ledger[input.transaction_id().to_hex() + input.index()];
  const used = UPLC.eval_phase_two_raw(
    transaction.to_cbor_bytes(),
    [utxoToTransactionInput(utxo).to_cbor_bytes()],
    [utxoToTransactionOutput(utxo).to_cbor_bytes()],
    costModels.to_cbor_bytes(),
    PROTOCOL_PARAMETERS_DEFAULT.maxTxExSteps,
    PROTOCOL_PARAMETERS_DEFAULT.maxTxExMem,
    BigInt(emulator.time),
    0n,
    1_000,
  );
  assert.equal(used.length, 1);
}
