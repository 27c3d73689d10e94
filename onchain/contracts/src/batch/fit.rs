//! How much one transaction takes, found by trying few sizes: each try balances a transaction and runs its scripts.

use nunet_ledger::ExUnits;

/// What a transaction takes of its limits, or the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Its size.
    pub bytes: u64,
    /// What its scripts use.
    pub units: ExUnits,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It makes a transaction, which takes so much.
    Fits(Load),
    /// It exceeds a limit: less may fit.
    Exceeds,
    /// It is refused whatever its size: something in it is wrong.
    Refused(String),
}

/// What a search for the largest size found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Largest {
    /// So many, and no more; none when not even one fits.
    Fits {
        /// How many.
        size: usize,
        /// What they take.
        load: Load,
    },
    /// Something among the first `size` is wrong.
    Refused {
        /// How many were tried.
        size: usize,
        /// Why they were refused.
        reason: String,
    },
}

/// The sizes on which the first estimate stands, when not all fit at once.
const FIRST: [usize; 2] = [8, 24];

impl Load {
    fn parts(self) -> [u64; 3] {
        [self.bytes, self.units.mem, self.units.steps]
    }

    /// How many more fit under `limits`, by the line from an earlier load to this one, `added` items later.
    fn room(self, earlier: Self, added: usize, limits: Self) -> usize {
        let parts = limits.parts().into_iter().zip(earlier.parts()).zip(self.parts());
        let room = parts.filter(|((_, before), now)| now > before).map(|((limit, before), now)| {
            u128::from(limit.saturating_sub(now)) * added as u128 / u128::from(now - before)
        });
        room.min().and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX)
    }
}

/// Finds the largest size up to `count` that fits, when less always fits too.
///
/// All is tried first: most often it fits, and what is far too large is known for that before any script runs. Then two
/// small sizes give a line, and the line an estimate that is off by one or two; where costs bend, halving ends the search
/// after a logarithmic number of tries.
///
/// # Errors
/// Those of the tries.
pub fn largest<E>(
    count: usize,
    limits: Load,
    mut attempt: impl FnMut(usize) -> Result<Attempt, E>,
) -> Result<Largest, E> {
    // What fits, the largest last, from the empty batch on; the second has no load that would say anything.
    let mut fitting: Vec<(usize, Load)> = Vec::new();
    let mut too_many = count.saturating_add(1);
    let mut size = count;
    let mut misses = 0;
    while fitting.last().map_or(0, |(size, _)| *size) + 1 < too_many {
        match attempt(size)? {
            Attempt::Refused(reason) => return Ok(Largest::Refused { size, reason }),
            Attempt::Fits(load) => {
                fitting.push((size, load));
                misses = 0;
            }
            Attempt::Exceeds => {
                too_many = size;
                misses += 1;
            }
        }
        size = next_size(&fitting, too_many, misses, limits);
    }
    let (size, load) = fitting.last().copied().unwrap_or_default();
    Ok(Largest::Fits { size, load })
}

/// A size between the largest that fits and the smallest that does not.
fn next_size(fitting: &[(usize, Load)], too_many: usize, misses: usize, limits: Load) -> usize {
    let (low, high) = (fitting.last().map_or(0, |(size, _)| *size), too_many.saturating_sub(1));
    let halved = low.midpoint(too_many);
    let guess = match fitting {
        [] if FIRST[0] < too_many => FIRST[0],
        [_] if misses == 0 => FIRST[1],
        [] | [_] => halved,
        [.., (before, earlier), (now, load)] => match misses {
            0 => now.saturating_add(load.room(*earlier, now - before, limits)),
            // The estimate was one too many, or it is no good.
            1 => high,
            _ => halved,
        },
    };
    guess.clamp(low + 1, high.max(low + 1))
}

/// Items put into sets, each of which is one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// The sets, as places of the items.
    pub sets: Vec<Vec<usize>>,
    /// Items that no transaction takes, and why.
    pub refused: Vec<(usize, String)>,
}

/// Puts `count` items, in their order, into few sets that each fit a transaction; see the [module](super) for how few.
/// Items with which every set is refused are left out, each found in a logarithmic number of tries; one that is only
/// refused beside others gets a set of its own.
///
/// # Errors
/// Those of the tries.
pub fn pack<E>(
    count: usize,
    limits: Load,
    mut attempt: impl FnMut(&[usize]) -> Result<Attempt, E>,
) -> Result<Packed, E> {
    let (mut packed, mut odd) = (Packed::default(), Vec::new());
    fill((0..count).collect(), limits, &mut attempt, &mut packed, &mut odd)?;
    spread_the_last(&mut packed.sets, &mut attempt)?;
    if last_is_small(&packed.sets) {
        // Items of many sizes may fill the sets better from the other end.
        let reversed = packed.sets.concat().into_iter().rev().collect();
        let (mut again, mut odd_again) = (Packed::default(), Vec::new());
        fill(reversed, limits, &mut attempt, &mut again, &mut odd_again)?;
        spread_the_last(&mut again.sets, &mut attempt)?;
        let takes_all = again.refused.is_empty() && odd_again.is_empty();
        if takes_all && again.sets.len() < packed.sets.len() {
            packed.sets = again.sets;
        }
    }
    packed.sets.append(&mut odd);
    Ok(packed)
}

/// Takes the longest prefix that fits, again and again.
fn fill<E>(
    mut left: Vec<usize>,
    limits: Load,
    attempt: &mut impl FnMut(&[usize]) -> Result<Attempt, E>,
    packed: &mut Packed,
    odd: &mut Vec<Vec<usize>>,
) -> Result<(), E> {
    while !left.is_empty() {
        match largest(left.len(), limits, |size| attempt(left.get(..size).unwrap_or(&left)))? {
            Largest::Fits { size: 0, .. } => {
                packed.refused.push((left.remove(0), "it exceeds the limits of a transaction alone".into()));
                // It may be all that ended the set before.
                left.splice(0..0, packed.sets.pop().unwrap_or_default());
            }
            Largest::Fits { size, .. } => packed.sets.push(left.drain(..size).collect()),
            Largest::Refused { size, reason } => {
                let (place, reason) = first_refused(left.get(..size).unwrap_or(&left), reason, attempt)?;
                let item = left.remove(place);
                // Two may only be at odds with each other: assets that nobody asked for, in one change output.
                match attempt(&[item])? {
                    Attempt::Fits(_) => odd.push(vec![item]),
                    Attempt::Refused(_) | Attempt::Exceeds => packed.refused.push((item, reason)),
                }
            }
        }
    }
    Ok(())
}

/// The place of the first item with which a refused set is refused.
fn first_refused<E>(
    set: &[usize],
    mut reason: String,
    attempt: &mut impl FnMut(&[usize]) -> Result<Attempt, E>,
) -> Result<(usize, String), E> {
    let (mut sound, mut refused) = (0, set.len());
    while sound + 1 < refused {
        let middle = sound.midpoint(refused);
        match attempt(&set[..middle])? {
            Attempt::Refused(found) => (refused, reason) = (middle, found),
            Attempt::Fits(_) | Attempt::Exceeds => sound = middle,
        }
    }
    Ok((refused.saturating_sub(1), reason))
}

/// Items of the last set that are tried elsewhere for each other set: each leaves room for less than one more.
const SPREAD: usize = 4;

/// Whether the items of the last set might find room in the others.
fn last_is_small(sets: &[Vec<usize>]) -> bool {
    sets.split_last().is_some_and(|(last, others)| last.len() <= SPREAD * others.len())
}

/// Does without the last set when its items, being few, fit into what the others leave.
fn spread_the_last<E>(
    sets: &mut Vec<Vec<usize>>,
    attempt: &mut impl FnMut(&[usize]) -> Result<Attempt, E>,
) -> Result<(), E> {
    if !last_is_small(sets) {
        return Ok(());
    }
    let Some((last, others)) = sets.split_last() else { return Ok(()) };
    let mut others = others.to_vec();
    for item in last {
        let mut placed = false;
        for set in &mut others {
            set.push(*item);
            placed = matches!(attempt(set)?, Attempt::Fits(_));
            if placed {
                break;
            }
            set.pop();
        }
        if !placed {
            return Ok(());
        }
    }
    *sets = others;
    Ok(())
}
