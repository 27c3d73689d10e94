// What the programs here share: Lucid Evolution on the devnet with a key from standard input.

import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { Blockfrost, CML, Lucid, SLOT_CONFIG_NETWORK, applyDoubleCborEncoding } from "@lucid-evolution/lucid";

const POLL_MS = 50;

// Reads {url, key, …} as JSON from standard input and gives Lucid with that key as its wallet.
export async function connect() {
  const task = JSON.parse(await text(process.stdin));
  const genesis = await get(task, "/genesis");
  SLOT_CONFIG_NETWORK.Custom = {
    zeroTime: genesis.system_start * 1_000,
    zeroSlot: 0,
    slotLength: genesis.slot_length * 1_000,
  };
  const lucid = await Lucid(new Blockfrost(task.url, "devnet"), "Custom");
  const key = CML.PrivateKey.from_normal_bytes(Buffer.from(task.key, "hex"));
  lucid.selectWallet.fromPrivateKey(key.to_bech32());
  return { lucid, task, key };
}

// Completes a draft with the API's evaluation, signs and submits it, and waits until it is in a block.
export async function submit(lucid, draft) {
  const complete = await draft.complete({ localUPLCEval: false });
  const signed = await complete.sign.withWallet().complete();
  const id = await signed.submit();
  await lucid.awaitTx(id, POLL_MS);
  return id;
}

export function plutus(hex) {
  return { type: "PlutusV3", script: applyDoubleCborEncoding(hex) };
}

export async function get(task, path) {
  const response = await fetch(task.url + path);
  assert.equal(response.status, 200, path);
  return response.json();
}
