//! Label selectors, as `kubectl` takes them.

use std::collections::BTreeMap;

/// A parsed selector; all of its requirements must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`; the error says which requirement isn't one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        requirements(text)
            .into_iter()
            .map(|one| {
                Requirement::parse(one.trim()).ok_or_else(|| format!("`{}` selects nothing", one.trim()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

/// The text at its commas, but for those within parentheses.
fn requirements(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut within = false;
    for character in text.chars() {
        match character {
            ',' if !within => found.push(String::new()),
            _ => {
                within = character == '(' || (within && character != ')');
                if let Some(last) = found.last_mut() {
                    last.push(character);
                }
            }
        }
    }
    found.retain(|one| !one.trim().is_empty());
    found
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        if let Some((key, values)) = text.split_once(" notin ") {
            return Some(Self::NotIn(label(key)?, list(values)?));
        }
        if let Some((key, values)) = text.split_once(" in ") {
            return Some(Self::In(label(key)?, list(values)?));
        }
        if let Some((key, value)) = text.split_once("!=") {
            return Some(Self::NotIn(label(key)?, vec![value.trim().to_owned()]));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return Some(Self::In(label(key)?, vec![value.trim().to_owned()]));
        }
        match text.strip_prefix('!') {
            Some(key) => Some(Self::Missing(label(key)?)),
            None => Some(Self::Exists(label(text)?)),
        }
    }

    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Missing(key) => !labels.contains_key(key),
        }
    }
}

fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

fn list(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str) -> bool {
        let labels = [("app", "velero"), ("tier", "backup")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Selector::parse(selector).unwrap().matches(&labels.into())
    }

    #[test]
    fn a_selector_means_what_kubectl_means_by_it() {
        for selector in [
            "app=velero",
            "app==velero,tier",
            "tier in (backup, other),app!=x",
            "!gone",
            "gone!=x",
        ] {
            assert!(matches(selector), "{selector}");
        }
        for selector in [
            "app=other",
            "gone",
            "!app",
            "tier notin (backup)",
            "app=velero,tier=x",
        ] {
            assert!(!matches(selector), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_an_error() {
        assert_eq!(
            Selector::parse("app=velero,a b").unwrap_err(),
            "`a b` selects nothing"
        );
        assert!(Selector::parse("app in velero").is_err());
    }
}
