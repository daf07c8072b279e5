//! Loops among things that need one another.

use std::collections::{BTreeMap, BTreeSet};

/// What needs what.
pub(crate) type Needs<N> = BTreeMap<N, BTreeSet<N>>;

/// Puts all that `needs` names into an order in which each comes after what it needs, and gives a loop for each group
/// that has none. A loop starts with its least member, and each needs the next.
///
/// It takes no recursion: what a policy says may be long.
pub(crate) fn order<N: Ord + Clone>(needs: &Needs<N>) -> (Vec<N>, Vec<Vec<N>>) {
    let mut ordered = Vec::new();
    let mut loops: BTreeSet<Vec<N>> = BTreeSet::new();
    let mut done: BTreeSet<&N> = BTreeSet::new();
    for start in needs.keys() {
        if done.contains(start) {
            continue;
        }
        let mut path: Vec<(&N, Vec<&N>)> = vec![(start, below(needs, start))];
        let mut open: BTreeSet<&N> = [start].into();
        while let Some((node, waiting)) = path.last_mut() {
            let node = *node;
            let Some(next) = waiting.pop() else {
                path.pop();
                open.remove(node);
                if done.insert(node) {
                    ordered.push(node.clone());
                }
                continue;
            };
            if open.contains(next) {
                let looped = path
                    .iter()
                    .map(|(node, _)| *node)
                    .skip_while(|node| *node != next);
                loops.insert(from_least(looped.cloned().collect()));
            } else if !done.contains(next) {
                open.insert(next);
                path.push((next, below(needs, next)));
            }
        }
    }
    (ordered, loops.into_iter().collect())
}

/// What `node` needs, the last to be looked at first.
fn below<'n, N: Ord>(needs: &'n Needs<N>, node: &N) -> Vec<&'n N> {
    needs.get(node).into_iter().flatten().rev().collect()
}

fn from_least<N: Ord + Clone>(mut looped: Vec<N>) -> Vec<N> {
    let least = looped
        .iter()
        .enumerate()
        .min_by_key(|(_, node)| *node)
        .map_or(0, |(at, _)| at);
    looped.rotate_left(least);
    looped
}

/// A loop as people read it: `bucket → install → bucket`.
pub(crate) fn shown(looped: &[String]) -> String {
    let mut names: Vec<&str> = looped.iter().map(String::as_str).collect();
    names.dedup();
    if names.len() > 1 && names.first() == names.last() {
        names.pop();
    }
    names.extend(names.first().copied());
    names.join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(pairs: &[(&str, &str)]) -> Needs<String> {
        let mut needs = Needs::new();
        for (from, to) in pairs {
            needs
                .entry((*from).to_owned())
                .or_insert_with(BTreeSet::new)
                .insert((*to).to_owned());
        }
        needs
    }

    #[test]
    fn each_comes_after_what_it_needs() {
        let (order, loops) = order(&needs(&[("a", "b"), ("b", "c"), ("a", "c"), ("d", "a")]));
        assert_eq!(order, ["c", "b", "a", "d"]);
        assert!(loops.is_empty());
    }

    #[test]
    fn a_loop_is_named_once_from_its_least_member() {
        let (_, loops) = order(&needs(&[
            ("c", "a"),
            ("a", "b"),
            ("b", "c"),
            ("x", "c"),
            ("y", "y"),
        ]));
        let shown: Vec<String> = loops.iter().map(|looped| super::shown(looped)).collect();
        assert_eq!(shown, ["a → b → c → a", "y → y"]);
    }

    #[test]
    fn a_long_chain_takes_no_stack() {
        let pairs: Vec<(String, String)> = (0..50_000)
            .map(|n| (format!("{n:06}"), format!("{:06}", n + 1)))
            .collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(order(&needs(&pairs)).0.len(), 50_001);
    }
}
