//! Did-you-mean: the nearest of some words.

/// The candidate nearest to `word`, if one is near enough to be meant by it.
///
/// Near enough is one edit for words of up to four characters, two for up to eight, and three for longer ones; a
/// difference of case only is always near enough. Swapped neighbours count as one edit. Of equally near candidates
/// the first wins, so the answer depends on the candidates' order alone.
///
/// ```
/// use holdfast_expression::suggest;
/// assert_eq!(suggest("cluser", ["installer", "cluster"]), Some("cluster"));
/// assert_eq!(suggest("cluser", ["schedules"]), None);
/// ```
pub fn suggest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let allowed = match length {
        0..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        // A word that is replaced entirely isn't a slip of the fingers.
        .filter(|(distance, _)| *distance <= allowed && *distance < length.max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer words aren't compared, because the work grows with the square of their length.
const LONGEST: usize = 100;

/// Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to`.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut previous: Option<char> = None;
    for (line, letter) in from.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(line.saturating_add(1));
        let mut left: Option<char> = None;
        for (column, other) in to.iter().copied().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&row, column).saturating_add(usize::from(letter != other));
            let removed = at(&row, column.saturating_add(1)).saturating_add(1);
            let added = at(&next, column).saturating_add(1);
            let swapped = match column.checked_sub(1) {
                Some(column) if previous == Some(other) && left == Some(letter) => {
                    at(&before, column).saturating_add(1)
                }
                _ => usize::MAX,
            };
            next.push(replaced.min(removed).min(added).min(swapped));
            left = Some(other);
        }
        before = row;
        row = next;
        previous = Some(letter);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn a_missing_letter_is_found() {
        assert_eq!(
            suggest("sseAlgoritm", ["kmsMasterKeyID", "sseAlgorithm"]),
            Some("sseAlgorithm")
        );
    }

    #[test]
    fn swapped_neighbours_are_one_edit() {
        assert_eq!(suggest("szie", ["size", "sign"]), Some("size"));
    }

    #[test]
    fn another_case_is_always_near() {
        assert_eq!(
            suggest("LOWERASCII", ["upperAscii", "lowerAscii"]),
            Some("lowerAscii")
        );
    }

    #[test]
    fn an_unlike_word_is_not_suggested() {
        assert_eq!(suggest("x", ["a", "b"]), None);
        assert_eq!(suggest("platform", ["region", "id"]), None);
    }

    #[test]
    fn the_first_of_equally_near_words_wins() {
        assert_eq!(suggest("rulex", ["rulea", "ruleb"]), Some("rulea"));
    }

    #[test]
    fn a_huge_word_is_left_alone() {
        assert_eq!(suggest(&"x".repeat(100_000), ["x"]), None);
    }
}
