//! What the end-to-end scenarios share: terms, escrows and verdicts on a real devnet, made by hand so that a test can
//! make them wrong.
//!
//! Scenarios are in `tests/tests`, one file per subject; `tests/run` runs everything.

pub mod attempt;
pub mod law;
pub mod lease;
pub mod multisig;
pub mod rival;
pub mod second_opinion;

use anyhow::Context;
use nunet::{accounts::Role, world::World};
use nunet_chain::{BuildError, ChainError, Limit, Wallet, submit_plan};
use nunet_contracts::{
    AgreementHash, Escrow, EscrowTerms, JobDatum, Leaf, MemberKey, Ntx, Signatures, TxPlan, Verdict,
    transactions::{escrow_output, lock},
};
use nunet_devnet::Devnet;
use nunet_ledger::{Address, AssetId, Lovelace, OutPoint, PosixMs, TxId};

use self::second_opinion::{Agreement, judge, judge_all};

/// Terms as an agreement would fix them, with a deadline two hours away; `seed` tells jobs apart.
pub async fn terms(world: &World, seed: u8) -> anyhow::Result<EscrowTerms> {
    let now = world.chain.tip().await?.time;
    Ok(EscrowTerms {
        datum: JobDatum {
            requester: world.accounts.wallet(Role::Requester).enterprise_address(),
            provider: world.accounts.wallet(Role::Provider).enterprise_address(),
            price: Ntx(5_000_000),
            fee: Ntx(500_000),
            bond: Ntx(0),
            deposit: Lovelace(1_500_000),
            carry: Lovelace(0),
            deadline: PosixMs(now.0 + 2 * 60 * 60 * 1000),
            committee: world.committee.id,
            agreement: AgreementHash([seed; 32]),
            voucher_key: None,
        },
        tip: Lovelace(2_000_000),
    })
}

/// Escrows that one transaction locks.
pub const LOCKS: usize = 24;

/// Locks these terms at the requester's expense, an output each, [`LOCKS`] in a transaction, and returns the escrows.
pub async fn lock_all(world: &World, terms: &[EscrowTerms]) -> anyhow::Result<Vec<Escrow>> {
    let protocol = &world.deployment.protocol;
    let until = world.chain.slots().at(PosixMs(world.chain.tip().await?.time.0 + 600_000));
    let mut escrows = Vec::new();
    for terms in terms.chunks(LOCKS) {
        let mut plan = lock(protocol, terms.first().context("nothing to lock")?, until)?;
        plan.outputs = terms.iter().map(|terms| escrow_output(protocol, terms)).collect::<Result<_, _>>()?;
        let tx = world.place(&plan, world.accounts.wallet(Role::Requester)).await?;
        escrows.extend(escrows_of(world, tx, terms.len()).await?);
    }
    Ok(escrows)
}

async fn escrows_of(world: &World, tx: TxId, count: usize) -> anyhow::Result<Vec<Escrow>> {
    let mut escrows = Vec::new();
    for index in 0..u16::try_from(count)? {
        let outpoint = OutPoint { tx, index };
        let output = world.chain.unspent(&outpoint).await?;
        escrows.push(Escrow::read(&world.deployment.protocol, outpoint, output)?);
    }
    Ok(escrows)
}

/// A verdict over these leaves, as members would sign it.
pub fn verdict(world: &World, leaves: Vec<Leaf>) -> anyhow::Result<Verdict> {
    let protocol = &world.deployment.protocol;
    Ok(Verdict::new(protocol.magic(), protocol.logic_hash(), [7; 32], leaves)?)
}

/// Signatures of the first `count` members.
pub fn signatures(world: &World, verdict: &Verdict, count: usize) -> Signatures {
    use ed25519_dalek::Signer;
    let keys = world.member_keys.iter().take(count);
    keys.map(|key| (MemberKey(key.verifying_key().to_bytes()), key.sign(&verdict.message()).to_bytes())).collect()
}

/// Places a plan that these wallets sign and the first pays for.
pub async fn place_signed(world: &World, plan: &TxPlan, wallets: &[&Wallet]) -> anyhow::Result<TxId> {
    let payer = wallets.first().context("nobody pays")?;
    let signed = world.chain.balance(plan, payer).await?.sign_with(wallets).finish()?;
    let tx = world.chain.send(&signed).await?;
    world.chain.wait_for(&tx, 1, Limit::Polls(100)).await?;
    Ok(tx)
}

/// What an address holds: lovelace and NTX.
pub fn holds(devnet: &Devnet, ntx: &AssetId, address: &Address) -> (u64, u64) {
    let snapshot = devnet.snapshot();
    let mine = snapshot.iter().filter(|(_, output)| output.address == *address);
    mine.fold((0, 0), |(lovelace, units), (_, output)| {
        (lovelace + output.value.lovelace().0, units + output.value.quantity(ntx))
    })
}

/// Asserts that a plan is refused because a script says no, and for no other reason; so does the second evaluator.
pub async fn refused_by_the_validator(world: &World, plan: &TxPlan, wallet: &Wallet) {
    let answer = submit_plan(&world.chain, plan, wallet).await.map(|(id, _)| id);
    let draft = match &answer {
        Err(ChainError::Build(BuildError::ScriptFailed { draft, .. })) => Some(draft),
        _ => None,
    };
    let (params, slots) = (world.chain.params(), world.chain.slots());
    let second = draft.map(|draft| judge(&draft.cbor, &draft.resolved, &params, &slots));
    assert!(matches!(second, Some(Ok(Agreement::Refused))), "not refused by both evaluators: {answer:?}; {second:?}");
}

/// Asserts that a second evaluator agrees with the first about every script that ran in this world, then stops it.
pub async fn finish(world: World) {
    let scripts = judge_all(&world.devnet, &world.chain.params());
    // The first was the committee's policy.
    assert!(matches!(scripts, Ok(1..)), "the evaluators disagree: {scripts:?}");
    world.stop().await;
}
