//! Patterns for files: `*` is any text within one part of a path.

use std::path::{Path, PathBuf};

/// The files below `folder` that `pattern` means, in order of path. A folder is no file.
pub(crate) fn expand(folder: &Path, pattern: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_path_buf()];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let mut next = Vec::new();
        for path in found {
            if !part.contains('*') {
                let path = path.join(part);
                // A link that leads nowhere is told when it is read.
                if path.symlink_metadata().is_ok() {
                    next.push(path);
                }
                continue;
            }
            if !path.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&path)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_hidden = name.starts_with('.') && !part.starts_with('.');
                if !is_hidden && part_matches(part, &name) {
                    next.push(path.join(name.as_ref()));
                }
            }
        }
        found = next;
    }
    found.retain(|path| !path.is_dir());
    found.sort();
    Ok(found)
}

/// Whether `pattern` means the path `name`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect()
    };
    let (pattern, name) = (parts(pattern), parts(name));
    pattern.len() == name.len()
        && pattern
            .iter()
            .zip(&name)
            .all(|(pattern, name)| part_matches(pattern, name))
}

fn part_matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at.saturating_add(piece.len())..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stays_within_its_part() {
        assert!(matches("crds/*.yaml", "crds/a.yaml"));
        assert!(matches("./crds/*.yaml", "crds/.yaml"));
        assert!(!matches("crds/*.yaml", "crds/deep/a.yaml"));
        assert!(!matches("*.yaml", "a.yml"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*a", "a"));
        assert!(matches("plain.yaml", "plain.yaml"));
    }
}
