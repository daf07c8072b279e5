//! Where something stands in a document.

use std::fmt;

use serde::{Serialize, Serializer};

/// One step down into a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A map's entry.
    Key(String),
    /// A list's item by position, counted from 0.
    Index(usize),
    /// A list's item by the fields that identify it, each a name and its text.
    Item(Vec<(String, String)>),
}

/// A place in a document, from its root.
///
/// It prints as people write it: `rules[Backup Expiry].expiration.days`, `metadata.labels["app.kubernetes.io/name"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Segment>);

impl Path {
    /// The root of a document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of map keys.
    #[must_use]
    pub fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Segment::Key((*key).to_owned())).collect())
    }

    /// Its steps, from the root.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether it is the document itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// This path and one step more.
    #[must_use]
    pub fn join(&self, segment: Segment) -> Self {
        let mut longer = self.0.clone();
        longer.push(segment);
        Self(longer)
    }

    /// This path and the map key `key`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.join(Segment::Key(key.to_owned()))
    }

    /// This path and the item at `index`.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.join(Segment::Index(index))
    }

    /// Whether `self` is `other` or lies under it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The path one step up; the root's is none.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }
}

impl From<Vec<Segment>> for Path {
    fn from(segments: Vec<Segment>) -> Self {
        Self(segments)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if is_plain(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Segment::Key(key) => write!(f, "[{key:?}]")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Item(keys) => {
                    let texts: Vec<&str> = keys.iter().map(|(_, text)| text.as_str()).collect();
                    write!(f, "[{}]", texts.join("/"))?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-' || c == '$')
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_people_write_it() {
        let path = Path::of(&["rules"])
            .join(Segment::Item(vec![("id".to_owned(), "Backup Expiry".to_owned())]))
            .key("expiration")
            .key("days");
        assert_eq!(path.to_string(), "rules[Backup Expiry].expiration.days");
        assert_eq!(
            Path::of(&["metadata", "labels", "a.b/c"]).to_string(),
            r#"metadata.labels["a.b/c"]"#
        );
        assert_eq!(Path::of(&["items"]).index(2).to_string(), "items[2]");
    }
}
