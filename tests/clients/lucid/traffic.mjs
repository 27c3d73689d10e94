// Makes transactions of many kinds with Lucid Evolution: tokens with metadata, scripts by reference, stake certificates
// and withdrawals.
//
// Reads {url, key, script, always} as JSON from standard input, with two Plutus V3 scripts in hex: one that wants its
// redeemer to equal its datum, and one that always says yes. Writes the ids and names of what was made.

import assert from "node:assert/strict";
import {
  Data,
  fromText,
  mintingPolicyToId,
  scriptFromNative,
  validatorToAddress,
  validatorToRewardAddress,
  validatorToScriptHash,
} from "@lucid-evolution/lucid";
import { connect, plutus, submit } from "./wallet.mjs";

const { lucid, task, key } = await connect();
const owner = await lucid.wallet().address();
const script = plutus(task.script);
const always = plutus(task.always);
const policy = scriptFromNative({ type: "sig", keyHash: key.to_public().hash().to_hex() });
const policyId = mintingPolicyToId(policy);
const unit = policyId + fromText("Ticket");
const account = validatorToRewardAddress("Custom", always);
const atScript = validatorToAddress("Custom", script);

const minted = await submit(
  lucid,
  lucid
    .newTx()
    .mintAssets({ [unit]: 7n })
    .attach.MintingPolicy(policy)
    .attachMetadata(674, { msg: ["one", "two"] })
    .attachMetadata(721, { [policyId]: { Ticket: { name: "Ticket", image: "ipfs://none", seats: [1, -2] } } })
    .pay.ToAddress(owner, { lovelace: 3_000_000n, [unit]: 7n }),
);
const burned = await submit(lucid, lucid.newTx().mintAssets({ [unit]: -2n }).attach.MintingPolicy(policy));
const locked = await submit(
  lucid,
  lucid
    .newTx()
    .pay.ToContract(atScript, { kind: "inline", value: Data.to(42n) }, { lovelace: 5_000_000n, [unit]: 1n })
    .pay.ToContract(atScript, { kind: "asHash", value: Data.to(42n) }, { lovelace: 5_000_000n })
    .pay.ToAddressWithData(owner, undefined, { lovelace: 5_000_000n }, script),
);
const [reference] = await lucid.utxosByOutRef([{ txHash: locked, outputIndex: 2 }]);
const outputs = (await lucid.utxosAt(atScript)).filter((output) => output.datum);
assert.equal(outputs.length, 1);
const spent = await submit(
  lucid,
  lucid.newTx().collectFrom(outputs, Data.to(42n)).readFrom([reference]).addSignerKey(key.to_public().hash().to_hex()),
);
const registered = await submit(lucid, lucid.newTx().register.Stake(account));
const withdrawn = await submit(
  lucid,
  lucid.newTx().withdraw(account, 0n, Data.to(1n)).attach.WithdrawalValidator(always),
);
const removed = await submit(
  lucid,
  lucid.newTx().deregister.Stake(account, Data.to(1n)).attach.CertificateValidator(always),
);

console.log(
  JSON.stringify({
    owner,
    unit,
    policy: policyId,
    account,
    at_script: atScript,
    script: validatorToScriptHash(script),
    always: validatorToScriptHash(always),
    payment: key.to_public().hash().to_bech32("addr_vkh"),
    minted,
    burned,
    locked,
    spent,
    registered,
    withdrawn,
    removed,
  }),
);
