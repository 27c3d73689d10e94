//! Which verdict settles an escrow that has several, so that few transactions settle all.

use std::collections::BTreeMap;

/// Most ways to divide transactions among verdicts that are tried before the greedy answer stands.
pub const CANDIDATES: usize = 20_000;

/// Gives each item one of its bins so that few transactions take all: `options` are the bins that take each item, and
/// `room` says how many items one transaction of a bin takes. Bins of one item never share a transaction.
///
/// Every item must have an option, and every option must be a bin with room for at least one item.
pub fn assign(options: &[Vec<usize>], room: &[usize]) -> Vec<usize> {
    let mut chosen = vec![0; options.len()];
    for items in components(options, room.len()) {
        let part: Vec<&[usize]> = items.iter().map(|item| options[*item].as_slice()).collect();
        for (item, bin) in items.iter().zip(assign_connected(&part, room)) {
            chosen[*item] = bin;
        }
    }
    chosen
}

/// The items that bins have in common, directly or through others.
fn components(options: &[Vec<usize>], bins: usize) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..bins).collect();
    let find = |root: &[usize], mut bin: usize| {
        while root[bin] != bin {
            bin = root[bin];
        }
        bin
    };
    for item in options {
        for pair in item.windows(2) {
            let (one, other) = (find(&root, pair[0]), find(&root, pair[1]));
            root[other] = one;
        }
    }
    let mut items: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (item, bins) in options.iter().enumerate() {
        if let Some(bin) = bins.first() {
            items.entry(find(&root, *bin)).or_default().push(item);
        }
    }
    items.into_values().collect()
}

fn assign_connected(options: &[&[usize]], room: &[usize]) -> Vec<usize> {
    let mut bins: Vec<usize> = options.iter().flat_map(|bins| bins.iter().copied()).collect();
    bins.sort_unstable();
    bins.dedup();
    let (chosen, transactions) = greedy(options, room);
    if bins.len() < 2 {
        return chosen;
    }
    let mut search = Search { options, room, bins: &bins, left: CANDIDATES };
    let limits: Vec<(usize, usize)> = bins.iter().map(|bin| search.limits(*bin)).collect();
    let least = limits.iter().map(|(least, _)| least).sum::<usize>().max(1);
    (least..transactions).find_map(|total| search.divide(&limits, total, &mut Vec::new())).unwrap_or(chosen)
}

/// Fills one transaction after the other, each of the bin that takes the most of what is left; what fits nowhere else
/// first.
fn greedy(options: &[&[usize]], room: &[usize]) -> (Vec<usize>, usize) {
    let mut chosen: Vec<Option<usize>> = vec![None; options.len()];
    let mut transactions = 0;
    loop {
        let mut takes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (item, bins) in options.iter().enumerate().filter(|(item, _)| chosen[*item].is_none()) {
            bins.iter().for_each(|bin| takes.entry(*bin).or_default().push(item));
        }
        let most = takes.into_iter().max_by_key(|(bin, items)| (items.len().min(room[*bin]), std::cmp::Reverse(*bin)));
        let Some((bin, mut items)) = most else { break };
        items.sort_by_key(|item| options[*item].len());
        items.into_iter().take(room[bin].max(1)).for_each(|item| chosen[item] = Some(bin));
        transactions += 1;
    }
    (chosen.into_iter().map(Option::unwrap_or_default).collect(), transactions)
}

struct Search<'a> {
    options: &'a [&'a [usize]],
    room: &'a [usize],
    bins: &'a [usize],
    /// Candidates that may still be tried.
    left: usize,
}

impl Search<'_> {
    /// The fewest and the most transactions of a bin that can be of use: for the items that only it takes, and for all.
    fn limits(&self, bin: usize) -> (usize, usize) {
        let room = self.room[bin].max(1);
        let taken = |alone: bool| {
            let takes = |bins: &&&[usize]| bins.contains(&bin) && (!alone || bins.len() == 1);
            self.options.iter().filter(takes).count().div_ceil(room)
        };
        (taken(true), taken(false))
    }

    /// Tries every way to divide `total` transactions among the bins that come after `counts`.
    fn divide(&mut self, limits: &[(usize, usize)], total: usize, counts: &mut Vec<usize>) -> Option<Vec<usize>> {
        let Some((least, most)) = limits.get(counts.len()) else {
            self.left = self.left.saturating_sub(1);
            return if total == 0 { self.place(counts) } else { None };
        };
        let needed: usize = limits.iter().skip(counts.len() + 1).map(|(least, _)| least).sum();
        let available = total.checked_sub(needed)?;
        for count in *least..=(*most).min(available) {
            if self.left == 0 {
                return None;
            }
            counts.push(count);
            let found = self.divide(limits, total - count, counts);
            counts.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Places every item when each bin has so many transactions, or says that it cannot be done: a matching of items and
    /// places, grown by moving items that have a choice.
    fn place(&self, counts: &[usize]) -> Option<Vec<usize>> {
        let room: BTreeMap<usize, usize> =
            self.bins.iter().zip(counts).map(|(bin, count)| (*bin, count * self.room[*bin].max(1))).collect();
        let mut matching = Matching { options: self.options, room, held: BTreeMap::new() };
        for item in 0..self.options.len() {
            if !matching.add(item, &mut Vec::new()) {
                return None;
            }
        }
        let mut chosen = vec![0; self.options.len()];
        for (bin, items) in matching.held {
            items.into_iter().for_each(|item| chosen[item] = bin);
        }
        Some(chosen)
    }
}

struct Matching<'a> {
    options: &'a [&'a [usize]],
    room: BTreeMap<usize, usize>,
    held: BTreeMap<usize, Vec<usize>>,
}

impl Matching<'_> {
    /// Adds an item, moving others to their other bins where needed; `tried` are bins that cannot give way.
    fn add(&mut self, item: usize, tried: &mut Vec<usize>) -> bool {
        for bin in self.options[item] {
            if tried.contains(bin) {
                continue;
            }
            tried.push(*bin);
            let held = self.held.entry(*bin).or_default();
            if held.len() < self.room.get(bin).copied().unwrap_or(0) {
                held.push(item);
                return true;
            }
            for (place, other) in held.clone().into_iter().enumerate() {
                if self.add(other, tried) {
                    if let Some(held) = self.held.get_mut(bin) {
                        held[place] = item;
                    }
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transactions(chosen: &[usize], room: &[usize]) -> usize {
        (0..room.len()).map(|bin| chosen.iter().filter(|found| **found == bin).count().div_ceil(room[bin])).sum()
    }

    /// Every choice for every item.
    fn fewest(options: &[Vec<usize>], room: &[usize]) -> usize {
        let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
        for bins in options {
            choices = choices
                .iter()
                .flat_map(|choice| bins.iter().map(|bin| [choice.as_slice(), &[*bin]].concat()))
                .collect();
        }
        choices.iter().map(|choice| transactions(choice, room)).min().unwrap()
    }

    #[test]
    fn a_recomposed_batch_that_holds_all_is_chosen_whatever_the_order() {
        let options: Vec<Vec<usize>> = (0..9).map(|item| if item < 6 { vec![0, 1] } else { vec![1] }).collect();
        assert_eq!(assign(&options, &[10, 10]), vec![1; 9]);
        // Where it takes two transactions anyway, either way is as good.
        assert_eq!(transactions(&assign(&options, &[6, 6]), &[6, 6]), 2);
    }

    #[test]
    fn greed_is_corrected() {
        // The largest verdict covers four, and yet the two others cover all.
        let options = vec![vec![0, 2], vec![0, 2], vec![0], vec![1, 2], vec![1, 2], vec![1]];
        assert_eq!(greedy(&options.iter().map(Vec::as_slice).collect::<Vec<_>>(), &[9, 9, 9]).1, 3);
        assert_eq!(transactions(&assign(&options, &[9, 9, 9]), &[9, 9, 9]), 2);
    }

    #[test]
    fn many_verdicts_end_in_time() {
        let options: Vec<Vec<usize>> = (0..256)
            .map(|item| (0..12).filter(|bin| (item >> (bin % 8)) & 1 == 1 || item % 12 == *bin).collect())
            .collect();
        let chosen = assign(&options, &[7; 12]);
        assert!(chosen.iter().zip(&options).all(|(bin, bins)| bins.contains(bin)));
        assert!(transactions(&chosen, &[7; 12]) <= 256usize.div_ceil(7) + 12);
    }

    proptest! {
        #[test]
        fn as_few_transactions_as_any_assignment(
            options in prop::collection::vec(prop::collection::btree_set(0usize..4, 1..4), 1..8),
            room in prop::collection::vec(1usize..4, 4),
        ) {
            let options: Vec<Vec<usize>> = options.into_iter().map(|bins| bins.into_iter().collect()).collect();
            let chosen = assign(&options, &room);
            prop_assert!(chosen.iter().zip(&options).all(|(bin, bins)| bins.contains(bin)));
            prop_assert_eq!(transactions(&chosen, &room), fewest(&options, &room));
        }
    }
}
