//! The tracker's core against made-up chains that grow, roll back and fall silent between any two questions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use nunet_chain::{
    BlockHash, Tip, Utxo,
    tracker::{Answer, Ask, Change, Core, Found, OutpointState, Presence, Reading, Seen, State, Target},
};
use nunet_ledger::{OutPoint, PosixMs, Slot, TxId, TxOut};
use proptest::prelude::*;
use support::*;

/// Outputs that may be made, each by its own transaction.
const OUTPUTS: u8 = 10;

/// What a block does: makes an output, or spends one.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Make(u8),
    Spend(u8),
}

#[derive(Clone, Debug)]
struct Block {
    hash: BlockHash,
    deeds: Vec<Deed>,
}

/// A chain with all that it has ever been, by its latest block.
#[derive(Default)]
struct World {
    blocks: Vec<Block>,
    history: BTreeMap<BlockHash, Vec<Block>>,
    made_blocks: u64,
    reorgs: usize,
}

fn outpoint_of(number: u8) -> OutPoint {
    OutPoint { tx: TxId([number; 32]), index: 0 }
}

fn output_of(number: u8) -> TxOut {
    TxOut::new(wallet_address(number % 3), lovelace(1_000_000 + u64::from(number)))
}

/// Three addresses, derived once: wallets are slow to make.
fn wallet_address(number: u8) -> nunet_ledger::Address {
    let key = nunet_ledger::KeyHash([number; 28]);
    nunet_ledger::Address::new(0, nunet_ledger::Credential::Key(key), None)
}

fn spender_of(number: u8) -> TxId {
    TxId([number + 100; 32])
}

fn targets() -> Vec<Target> {
    let outpoints = (0..OUTPUTS).map(|number| Target::Outpoint(outpoint_of(number)));
    outpoints.chain((0..3).map(|number| Target::Address(wallet_address(number)))).collect()
}

/// What a chain says about a target.
fn reading(blocks: &[Block], target: &Target) -> Reading {
    let mut found: BTreeMap<u8, (u64, Option<u64>)> = BTreeMap::new();
    for (height, block) in (0..).zip(blocks) {
        for deed in &block.deeds {
            match deed {
                Deed::Make(number) => drop(found.entry(*number).or_insert((height, None))),
                Deed::Spend(number) => {
                    if let Some((_, spent @ None)) = found.get_mut(number) {
                        *spent = Some(height);
                    }
                }
            }
        }
    }
    match target {
        Target::Outpoint(outpoint) => {
            let number = outpoint.tx.0[0];
            Reading::Outpoint(found.get(&number).map(|(height, spent)| Found {
                output: output_of(number),
                height: *height,
                spent: spent.map(|height| (spender_of(number), height)),
            }))
        }
        Target::Address(address) => {
            let unspent = found.iter().filter(|(_, (_, spent))| spent.is_none());
            let held = unspent.map(|(number, (height, _))| {
                (Utxo { outpoint: outpoint_of(*number), output: output_of(*number) }, *height)
            });
            Reading::Address(held.filter(|(utxo, _)| utxo.output.address == *address).collect())
        }
    }
}

/// The state of a target at a chain's latest block, worked out in the plainest way.
fn truth(blocks: &[Block], target: &Target) -> State {
    let depth = |height: u64| blocks.len() as u64 - height;
    match reading(blocks, target) {
        Reading::Outpoint(None) => State::Outpoint(OutpointState::Unknown),
        Reading::Outpoint(Some(Found { output, height, spent: None })) => {
            State::Outpoint(OutpointState::Unspent { output, depth: depth(height) })
        }
        Reading::Outpoint(Some(Found { output, spent: Some((by, height)), .. })) => {
            State::Outpoint(OutpointState::Spent { output, by, depth: depth(height) })
        }
        Reading::Address(held) => State::Address(
            held.into_iter()
                .map(|(utxo, height)| nunet_chain::tracker::Deposit { utxo, depth: depth(height) })
                .collect(),
        ),
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.extend(0);
        world
    }

    /// A new block, never seen before; the seed says what it does.
    fn extend(&mut self, seed: u16) {
        self.made_blocks += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.made_blocks.to_be_bytes());
        let number = u8::try_from(seed % u16::from(OUTPUTS)).unwrap();
        let deeds = match seed / 16 % 4 {
            0 => vec![Deed::Make(number)],
            1 => vec![Deed::Spend(number)],
            2 => vec![Deed::Make(number), Deed::Spend((number + 3) % OUTPUTS)],
            _ => vec![],
        };
        self.blocks.push(Block { hash: BlockHash(hash), deeds });
        self.history.insert(BlockHash(hash), self.blocks.clone());
    }

    /// Blocks are rolled back and another one comes.
    fn reorganise(&mut self, back: usize, seed: u16) {
        let keep = self.blocks.len().saturating_sub(back).max(1);
        if keep < self.blocks.len() {
            self.reorgs += 1;
        }
        self.blocks.truncate(keep);
        self.extend(seed);
    }

    fn tip(&self) -> Tip {
        let height = self.blocks.len() as u64 - 1;
        Tip { height, slot: Slot(height), time: PosixMs(height), hash: self.blocks.last().unwrap().hash }
    }

    fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Tip => Answer::Tip(self.tip()),
            Ask::IsOnChain(hash) => {
                let there = self.blocks.iter().any(|block| block.hash == *hash);
                Answer::OnChain(if there { Presence::Present } else { Presence::Gone })
            }
            Ask::Read(target) => Answer::Reading(target.clone(), reading(&self.blocks, target)),
        }
    }
}

/// What happens while a question is asked.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// The request is lost.
    Lost,
    /// A block comes before the answer.
    Block(u16),
    /// Blocks are rolled back before the answer.
    Reorganised(usize, u16),
    /// A block comes while several requests make up the answer, which then belongs to no chain.
    Torn(u16),
}

/// What happens between polls.
#[derive(Clone, Copy, Debug)]
enum Step {
    Poll,
    Blocks(u8, u16),
    Reorganise(usize, u16),
    Watch(prop::sample::Index),
    Unwatch(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => Just(Event::Nothing),
        2 => Just(Event::Lost),
        2 => any::<u16>().prop_map(Event::Block),
        1 => (1_usize..6, any::<u16>()).prop_map(|(back, seed)| Event::Reorganised(back, seed)),
        1 => any::<u16>().prop_map(Event::Torn),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Poll),
        2 => (1_u8..5, any::<u16>()).prop_map(|(count, seed)| Step::Blocks(count, seed)),
        1 => (1_usize..8, any::<u16>()).prop_map(|(back, seed)| Step::Reorganise(back, seed)),
        2 => any::<prop::sample::Index>().prop_map(Step::Watch),
        1 => any::<prop::sample::Index>().prop_map(Step::Unwatch),
    ]
}

struct Run {
    world: World,
    core: Core,
    events: std::vec::IntoIter<Event>,
    known: BTreeMap<Target, Seen<State>>,
    rollbacks: usize,
}

impl Run {
    fn look(&mut self) {
        self.core.poll();
        // A chain that never stands still keeps a core busy for ever; here events run out.
        while let Some(ask) = self.core.asks().pop() {
            let answer = match self.events.next().unwrap_or(Event::Nothing) {
                Event::Nothing => self.world.answer(&ask),
                Event::Lost => Answer::Failed(ask),
                Event::Block(seed) => {
                    self.world.extend(seed);
                    self.world.answer(&ask)
                }
                Event::Reorganised(back, seed) => {
                    self.world.reorganise(back, seed);
                    self.world.answer(&ask)
                }
                Event::Torn(seed) => {
                    let answer = match &ask {
                        Ask::Read(target) => Answer::Reading(target.clone(), lie(target)),
                        _ => self.world.answer(&ask),
                    };
                    self.world.extend(seed);
                    answer
                }
            };
            for change in self.core.answer(answer) {
                self.check(change);
            }
        }
    }

    /// Every report must be what the chain was at the block that the report names.
    fn check(&mut self, change: Change) {
        match change {
            Change::Seen(target, seen) => {
                let blocks = &self.world.history[&seen.at.hash];
                assert_eq!(seen.at.height, blocks.len() as u64 - 1);
                assert_eq!(seen.state, truth(blocks, &target), "{target:?} at {}", seen.at.hash);
                self.known.insert(target, seen);
            }
            Change::RolledBack(gone) => {
                let mut blocks = self.world.blocks.iter();
                assert!(blocks.all(|block| block.hash != gone.hash), "{} was not rolled back", gone.hash);
                self.rollbacks += 1;
            }
        }
    }
}

/// An answer that no chain here ever gives.
fn lie(target: &Target) -> Reading {
    match target {
        Target::Outpoint(_) => {
            Reading::Outpoint(Some(Found { output: output_of(77), height: 0, spent: Some((spender_of(77), 0)) }))
        }
        Target::Address(_) => Reading::Address(vec![(Utxo { outpoint: outpoint_of(77), output: output_of(77) }, 0)]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reports_are_true_of_their_block_and_in_the_end_of_the_chain(
        steps in proptest::collection::vec(step(), 1..60),
        events in proptest::collection::vec(event(), 0..400),
    ) {
        let all = targets();
        let (world, core) = (World::new(), Core::default());
        let mut run = Run { world, core, events: events.into_iter(), known: BTreeMap::new(), rollbacks: 0 };
        for step in steps {
            match step {
                Step::Poll => run.look(),
                Step::Blocks(count, seed) => (0..count).for_each(|n| run.world.extend(seed.wrapping_add(n.into()))),
                Step::Reorganise(back, seed) => run.world.reorganise(back, seed),
                Step::Watch(index) => run.core.watch(index.get(&all).clone()),
                Step::Unwatch(index) => {
                    let target = index.get(&all);
                    run.core.unwatch(target);
                    run.known.remove(target);
                }
            }
        }
        // Nothing more happens: one look finds the truth.
        run.events = Vec::new().into_iter();
        run.look();
        prop_assert_eq!(run.core.behind(), 0);
        let followed: Vec<Target> = run.core.targets().cloned().collect();
        for target in followed {
            let seen = &run.known[&target];
            prop_assert_eq!(seen.at, run.world.tip());
            prop_assert_eq!(&seen.state, &truth(&run.world.blocks, &target));
        }
        prop_assert!(run.rollbacks <= run.world.reorgs, "a chain that only grew was called rolled back");
    }
}

/// A quiet endpoint, looked at once.
fn look(core: &mut Core, world: &World) -> Vec<Change> {
    let mut changes = Vec::new();
    core.poll();
    while let Some(ask) = core.asks().pop() {
        changes.extend(core.answer(world.answer(&ask)));
    }
    changes
}

#[test]
fn nothing_is_read_again_while_the_latest_block_stays() {
    let (mut core, mut world) = (Core::default(), World::new());
    core.watch(Target::Outpoint(outpoint_of(1)));
    assert_eq!(look(&mut core, &world).len(), 1);
    core.poll();
    assert_eq!(core.asks(), [Ask::Tip]);
    core.answer(world.answer(&Ask::Tip));
    assert_eq!(core.asks(), []);
    world.extend(0);
    assert_eq!(look(&mut core, &world).len(), 1);
}

#[test]
fn a_rollback_to_the_same_height_is_seen_by_its_hash() {
    let (mut core, mut world) = (Core::default(), World::new());
    let target = Target::Outpoint(outpoint_of(1));
    core.watch(target.clone());
    world.extend(1); // makes output 1
    let changes = look(&mut core, &world);
    let made =
        Seen { at: world.tip(), state: State::Outpoint(OutpointState::Unspent { output: output_of(1), depth: 1 }) };
    assert_eq!(changes, [Change::Seen(target.clone(), made)]);
    let from = world.tip();
    world.reorganise(1, 48); // an empty block
    let gone = Seen { at: world.tip(), state: State::Outpoint(OutpointState::Unknown) };
    let expected = [Change::RolledBack(from), Change::Seen(target, gone)];
    assert_eq!(look(&mut core, &world), expected);
}

#[test]
fn an_answer_from_a_fork_between_two_equal_looks_is_repaired_in_time() {
    let (mut core, world) = (Core::default(), World::new());
    let target = Target::Outpoint(outpoint_of(1));
    core.watch(target.clone());
    core.poll();
    core.answer(world.answer(&Ask::Tip));
    let read = Ask::Read(target.clone());
    assert_eq!(core.asks(), [read]);
    // Another server behind the same URL, which follows a fork.
    core.answer(Answer::Reading(target.clone(), lie(&target)));
    assert_eq!(core.answer(world.answer(&Ask::Tip)).len(), 1);
    let repaired = (0..100).map(|_| look(&mut core, &world)).find(|changes| !changes.is_empty()).unwrap();
    let unknown = Seen { at: world.tip(), state: State::Outpoint(OutpointState::Unknown) };
    assert_eq!(repaired, [Change::Seen(target, unknown)]);
}

#[test]
fn batches_shrink_until_they_fit_between_two_blocks() {
    let (mut core, mut world) = (Core::default(), World::new());
    let many: Vec<Target> = (0..200).map(|n| Target::Outpoint(OutPoint { tx: TxId([n; 32]), index: 7 })).collect();
    many.iter().for_each(|target| core.watch(target.clone()));
    // A block after every sixth answer: whole batches of sixteen never fit.
    let mut answers = 0;
    let mut seen = std::collections::BTreeSet::new();
    core.poll();
    while seen.len() < many.len() {
        assert!(answers < 10_000, "no progress: {} of {}", seen.len(), many.len());
        let Some(ask) = core.asks().pop() else {
            core.poll();
            continue;
        };
        answers += 1;
        if answers % 6 == 0 {
            world.extend(48);
        }
        for change in core.answer(world.answer(&ask)) {
            if let Change::Seen(target, _) = change {
                seen.insert(target);
            }
        }
    }
}
