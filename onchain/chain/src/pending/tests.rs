//! Transactions whose fate is decided by chance: none of their inputs is ever free and in flight, and none is lost.

use nunet_ledger::{Credential, KeyHash, Lovelace, PosixMs, TxOut, Value};
use proptest::prelude::*;

use super::*;

fn address() -> Address {
    Address::new(0, Credential::Key(KeyHash([1; 28])), None)
}

fn outpoint(tx: u8, index: u16) -> OutPoint {
    OutPoint { tx: TxId([tx; 32]), index }
}

fn utxo(outpoint: OutPoint) -> Utxo {
    Utxo { outpoint, output: TxOut::new(address(), Value::lovelace_only(Lovelace(1_000_000))) }
}

fn tip(height: u64, slot: u64) -> Tip {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&slot.to_be_bytes());
    hash[8..16].copy_from_slice(&height.to_be_bytes());
    Tip { height, slot: Slot(slot), time: PosixMs(slot * 1_000), hash: BlockHash(hash) }
}

fn spend(pending: &mut Pending, id: u8, consumed: &[OutPoint], until: Option<u64>) {
    let consumed = consumed.iter().copied().collect();
    let produced = vec![utxo(outpoint(id, 0))];
    pending.insert(TxId([id; 32]), consumed, produced, vec![id], until.map(Slot), Slot(100));
    pending.taken(&TxId([id; 32]), Slot(100));
}

/// Settles where every question is answered by a function.
fn settle(pending: &mut Pending, tip: Tip, mut answer: impl FnMut(&Question) -> Reply) {
    pending.begin(tip);
    for _ in 0..1_000 {
        let Some(question) = pending.next() else { return };
        let reply = answer(&question);
        pending.reply(&question, reply);
    }
    unreachable!("there is no end of questions");
}

fn nothing_in_blocks(question: &Question) -> Reply {
    match question {
        Question::IsOnChain(_) => Reply::OnChain(true),
        Question::HeightOf(_) => Reply::Height(None),
        Question::Send(..) => Reply::Taken,
    }
}

fn free(pending: &Pending, confirmed: &[OutPoint]) -> Vec<OutPoint> {
    let confirmed = confirmed.iter().copied().map(utxo).collect();
    pending.overlay(confirmed, &address()).into_iter().map(|utxo| utxo.outpoint).collect()
}

#[test]
fn spent_outputs_are_hidden_and_made_ones_shown_until_the_chain_shows_them() {
    let mut pending = Pending::default();
    let confirmed = [outpoint(1, 0), outpoint(1, 1)];
    spend(&mut pending, 2, &[outpoint(1, 0)], None);
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1), outpoint(2, 0)]);
    spend(&mut pending, 3, &[outpoint(2, 0)], None);
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1), outpoint(3, 0)]);
    // Confirmed between two requests: shown once.
    assert_eq!(free(&pending, &[outpoint(1, 1), outpoint(3, 0)]), [outpoint(1, 1), outpoint(3, 0)]);
    settle(&mut pending, tip(5, 100), |question| match question {
        Question::HeightOf(_) => Reply::Height(Some(5)),
        question => nothing_in_blocks(question),
    });
    // Still hidden, should an endpoint lag behind itself; what they made is the chain's to show.
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1)]);
    settle(&mut pending, tip(5 + DEEP, 101), nothing_in_blocks);
    assert!(pending.txs.is_empty());
}

#[test]
fn a_transaction_counts_before_its_fate_is_known_and_only_its_inputs_do() {
    let mut pending = Pending::default();
    let (id, confirmed) = (TxId([2; 32]), [outpoint(1, 0), outpoint(1, 1)]);
    let consumed = [outpoint(1, 0)].into();
    pending.insert(id, consumed, vec![utxo(outpoint(2, 0))], vec![2], None, Slot(100));
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1)]);
    // It is sent again, and no answer comes once more.
    let mut sent = 0;
    settle(&mut pending, tip(5, 101), |question| match question {
        Question::Send(..) => {
            sent += 1;
            Reply::Nothing
        }
        question => nothing_in_blocks(question),
    });
    assert_eq!((sent, free(&pending, &confirmed)), (1, vec![outpoint(1, 1)]));
    settle(&mut pending, tip(6, 102), |question| match question {
        Question::Send(..) => Reply::Refused,
        question => nothing_in_blocks(question),
    });
    assert_eq!(free(&pending, &confirmed), confirmed);
}

#[test]
fn what_can_no_longer_be_confirmed_is_forgotten_with_its_descendants() {
    let mut pending = Pending::default();
    spend(&mut pending, 2, &[outpoint(1, 0)], Some(150));
    spend(&mut pending, 3, &[outpoint(2, 0)], None);
    spend(&mut pending, 4, &[outpoint(1, 1)], None);
    settle(&mut pending, tip(1, 149), nothing_in_blocks);
    assert_eq!(pending.txs.len(), 3);
    settle(&mut pending, tip(2, 150), nothing_in_blocks);
    assert_eq!(pending.txs.keys().collect::<Vec<_>>(), [&TxId([4; 32])]);
    settle(&mut pending, tip(3, 100 + PATIENCE), nothing_in_blocks);
    assert!(pending.txs.is_empty());
}

#[test]
fn what_was_rolled_back_is_in_flight_again() {
    let mut pending = Pending::default();
    spend(&mut pending, 2, &[outpoint(1, 0)], None);
    settle(&mut pending, tip(5, 100), |question| match question {
        Question::HeightOf(_) => Reply::Height(Some(5)),
        question => nothing_in_blocks(question),
    });
    // The chain shows its input as unspent again, before and after we know why.
    assert_eq!(free(&pending, &[outpoint(1, 0)]), []);
    settle(&mut pending, tip(5, 101), |question| match question {
        Question::IsOnChain(_) => Reply::OnChain(false),
        question => nothing_in_blocks(question),
    });
    assert_eq!(free(&pending, &[outpoint(1, 0)]), [outpoint(2, 0)]);
}

#[test]
fn what_no_block_takes_for_long_is_sent_again_parents_first() {
    let mut pending = Pending::default();
    spend(&mut pending, 9, &[outpoint(1, 0)], None);
    spend(&mut pending, 3, &[outpoint(9, 0)], None);
    let mut sent = Vec::new();
    for (height, slot) in [(5, 101), (6, 99 + RESEND), (7, 100 + RESEND), (8, 101 + RESEND)] {
        settle(&mut pending, tip(height, slot), |question| {
            if let Question::Send(id, _) = question {
                sent.push((slot, *id));
            }
            nothing_in_blocks(question)
        });
    }
    assert_eq!(sent, [(100 + RESEND, TxId([9; 32])), (100 + RESEND, TxId([3; 32]))]);
}

#[test]
fn what_is_held_is_not_spent_until_it_is_free_again() {
    let mut pending = Pending::default();
    let confirmed = [outpoint(1, 0), outpoint(1, 1)];
    pending.hold([outpoint(1, 0)], Slot(200));
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1)]);
    settle(&mut pending, tip(1, 199), nothing_in_blocks);
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1)]);
    settle(&mut pending, tip(2, 200), nothing_in_blocks);
    assert_eq!(free(&pending, &confirmed), confirmed);
    pending.hold(confirmed, Slot(300));
    pending.release(&[outpoint(1, 1)]);
    assert_eq!(free(&pending, &confirmed), [outpoint(1, 1)]);
}

#[test]
fn what_lost_a_race_gives_its_inputs_back() {
    let mut pending = Pending::default();
    spend(&mut pending, 2, &[outpoint(1, 0)], None);
    spend(&mut pending, 3, &[outpoint(2, 0)], None);
    spend(&mut pending, 4, &[outpoint(1, 1)], None);
    pending.abandon(vec![TxId([2; 32])]);
    assert_eq!(free(&pending, &[outpoint(1, 0), outpoint(1, 1)]), [outpoint(1, 0), outpoint(4, 0)]);
}

/// A transaction in the made-up world.
#[derive(Clone, Debug)]
struct Tx {
    id: TxId,
    consumed: BTreeSet<OutPoint>,
    valid_until: Option<u64>,
}

/// A node with its chain and mempool, and a wallet that pays out of what it takes for free.
struct World {
    blocks: Vec<Vec<Tx>>,
    mempool: Vec<Tx>,
    slot: u64,
    /// Makes every tip another one.
    forks: u8,
    made: u32,
    sent: BTreeMap<TxId, Tx>,
    pending: Pending,
}

/// What happens to a request that submits.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    Answered,
    LostOnTheWay,
    AnswerLost,
}

#[derive(Clone, Debug)]
enum Step {
    Pay(Vec<prop::sample::Index>, Delivery, Option<u64>),
    Block(usize, u64),
    Rollback(usize, prop::sample::Index),
    RestartNode,
    Settle(Vec<bool>),
}

impl World {
    fn new() -> Self {
        let (blocks, sent, pending) = (vec![Vec::new()], BTreeMap::new(), Pending::default());
        Self { blocks, mempool: Vec::new(), slot: 0, forks: 0, made: 0, sent, pending }
    }

    fn tip(&self) -> Tip {
        let mut tip = tip(self.blocks.len() as u64, self.slot);
        tip.hash.0[31] = self.forks;
        tip
    }

    fn apply<'a>(txs: impl Iterator<Item = &'a Tx>) -> BTreeSet<OutPoint> {
        let mut unspent: BTreeSet<OutPoint> = (0..4).map(|index| outpoint(0xff, index)).collect();
        for tx in txs {
            unspent.retain(|outpoint| !tx.consumed.contains(outpoint));
            unspent.extend((0..2).map(|index| OutPoint { tx: tx.id, index }));
        }
        unspent
    }

    fn confirmed(&self) -> BTreeSet<OutPoint> {
        Self::apply(self.blocks.iter().flatten())
    }

    fn fits(&self, tx: &Tx) -> bool {
        let known = Self::apply(self.blocks.iter().flatten().chain(&self.mempool));
        tx.consumed.is_subset(&known) && tx.valid_until.is_none_or(|end| end > self.slot)
    }

    fn free(&self) -> Vec<OutPoint> {
        free(&self.pending, &self.confirmed().into_iter().collect::<Vec<_>>())
    }

    fn receive(&mut self, tx: Tx) -> Reply {
        let known = self.blocks.iter().flatten().chain(&self.mempool).any(|other| other.id == tx.id);
        if !known && !self.fits(&tx) {
            return Reply::Refused;
        }
        if !known {
            self.mempool.push(tx);
        }
        Reply::Taken
    }

    fn pay(&mut self, choice: &[prop::sample::Index], delivery: Delivery, life: Option<u64>) {
        let free = self.free();
        if free.is_empty() {
            return;
        }
        self.made += 1;
        let mut id = TxId([0; 32]);
        id.0[..4].copy_from_slice(&self.made.to_be_bytes());
        let consumed: BTreeSet<OutPoint> = choice.iter().map(|index| *index.get(&free)).collect();
        let tx = Tx { id, consumed, valid_until: life.map(|life| self.slot + life) };
        let produced = (0..2).map(|index| utxo(OutPoint { tx: id, index })).collect();
        let until = tx.valid_until.map(Slot);
        self.pending.insert(id, tx.consumed.clone(), produced, Vec::new(), until, Slot(self.slot));
        self.sent.insert(id, tx.clone());
        match delivery {
            Delivery::LostOnTheWay => {}
            Delivery::AnswerLost => drop(self.receive(tx)),
            Delivery::Answered => match self.receive(tx) {
                Reply::Refused => self.pending.abandon(vec![id]),
                _ => self.pending.taken(&id, Slot(self.slot)),
            },
        }
    }

    fn block(&mut self, most: usize, slots: u64) {
        self.slot += slots;
        let mut block: Vec<Tx> = Vec::new();
        for tx in std::mem::take(&mut self.mempool) {
            let inputs = Self::apply(self.blocks.iter().flatten().chain(&block));
            if tx.valid_until.is_some_and(|end| end <= self.slot) {
                continue;
            }
            if block.len() < most && tx.consumed.is_subset(&inputs) {
                block.push(tx);
            } else {
                self.mempool.push(tx);
            }
        }
        self.blocks.push(block);
        self.clean();
    }

    /// What no longer fits leaves the mempool.
    fn clean(&mut self) {
        for tx in std::mem::take(&mut self.mempool) {
            if self.fits(&tx) {
                self.mempool.push(tx);
            }
        }
    }
}

impl World {
    /// Takes back blocks; their transactions return to the mempool or are dropped.
    fn rollback(&mut self, back: usize, kept: prop::sample::Index) {
        let keep = self.blocks.len().saturating_sub(back).max(1);
        let mut returned: Vec<Tx> = self.blocks.split_off(keep).concat();
        returned.truncate(kept.index(returned.len() + 1));
        self.forks += 1;
        returned.append(&mut self.mempool);
        // In order, so that children find their parents.
        for tx in returned {
            drop(self.receive(tx));
        }
    }

    fn settle(&mut self, answered: &[bool]) {
        let mut answered = answered.iter().copied();
        let mut pending = std::mem::take(&mut self.pending);
        settle(&mut pending, self.tip(), |question| {
            if !answered.next().unwrap_or(true) {
                return Reply::Nothing;
            }
            match question {
                // By what a tip is made of: its fork, and whether its height still exists.
                Question::IsOnChain(hash) => Reply::OnChain(hash.0[31] == self.forks),
                Question::HeightOf(id) => {
                    let place = self.blocks.iter().position(|block| block.iter().any(|tx| tx.id == *id));
                    Reply::Height(place.map(|place| place as u64 + 1))
                }
                Question::Send(id, _) => match self.sent.get(id).cloned() {
                    Some(tx) => self.receive(tx),
                    None => Reply::Nothing,
                },
            }
        });
        self.pending = pending;
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Pay(choice, delivery, life) => self.pay(choice, *delivery, *life),
            Step::Block(most, slots) => self.block(*most, *slots),
            Step::Rollback(back, kept) => self.rollback(*back, *kept),
            Step::RestartNode => self.mempool.clear(),
            Step::Settle(answered) => self.settle(answered),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let delivery =
        prop_oneof![3 => Just(Delivery::Answered), 1 => Just(Delivery::LostOnTheWay), 1 => Just(Delivery::AnswerLost)];
    let choice = proptest::collection::vec(any::<prop::sample::Index>(), 1..3);
    prop_oneof![
        5 => (choice, delivery, proptest::option::of(1_u64..200)).prop_map(|(c, d, l)| Step::Pay(c, d, l)),
        4 => (0_usize..4, 1_u64..15).prop_map(|(most, slots)| Step::Block(most, slots)),
        1 => (1_usize..5, any::<prop::sample::Index>()).prop_map(|(back, kept)| Step::Rollback(back, kept)),
        1 => Just(Step::RestartNode),
        4 => proptest::collection::vec(proptest::bool::weighted(0.7), 0..12).prop_map(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_input_is_free_and_in_flight_and_none_is_lost(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            let in_flight: BTreeSet<OutPoint> = world.mempool.iter().flat_map(|tx| tx.consumed.clone()).collect();
            let free = world.free();
            prop_assert!(free.iter().all(|outpoint| !in_flight.contains(outpoint)), "{step:?}: {free:?} {in_flight:?}");
        }
        // The node works again, and takes what it is sent.
        for _ in 0..DEEP + 10 {
            world.settle(&[]);
            world.block(usize::MAX, RESEND);
        }
        world.settle(&[]);
        prop_assert!(world.mempool.is_empty() && world.pending.txs.is_empty(), "{:?}", world.pending);
        let free: BTreeSet<OutPoint> = world.free().into_iter().collect();
        prop_assert_eq!(free, world.confirmed());
    }
}
