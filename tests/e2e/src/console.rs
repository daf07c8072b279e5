//! The commands of a guide and what they print, read from its Markdown and run as they stand there.
//!
//! In a block marked `console`, a line that begins with `$ ` is a command; it goes on in the next line after a
//! backslash. The lines below it are what it prints: `…` stands for any text within a line and, alone, for any lines;
//! how many spaces there are doesn't count.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use tokio::process::Command;

/// A command of the guide.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// The last heading above it.
    pub section: String,
    /// Its line in the guide, counted from 1.
    pub line: usize,
    /// As a shell takes it.
    pub command: String,
    /// What it prints.
    pub expected: Vec<String>,
}

/// The commands of a guide, in their order.
///
/// # Panics
/// Never: a line that goes on has one before it.
#[must_use]
pub fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut section, mut inside, mut continues) = (String::new(), false, false);
    for (number, line) in guide.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        } else if inside && continues {
            let step = steps.last_mut().expect("it goes on");
            step.command.push('\n');
            step.command.push_str(line);
            continues = line.ends_with('\\');
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            continues = command.ends_with('\\');
            steps.push(Step {
                section: section.clone(),
                line: number + 1,
                command: command.to_owned(),
                expected: Vec::new(),
            });
        } else if inside && let Some(step) = steps.last_mut() {
            step.expected.push(line.to_owned());
        }
    }
    steps
}

/// Runs a step after `preamble`, with `variables` as its environment; what is wrong with it, if anything. One that only
/// looks is repeated for as long as `patience` lasts, until what it prints fits.
pub async fn follow(
    step: &Step,
    preamble: &[String],
    folder: &Path,
    variables: &BTreeMap<&str, String>,
    patience: Duration,
) -> Option<String> {
    let deadline = Instant::now() + patience;
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.clone()))
        .collect();
    loop {
        let printed = run(preamble, &step.command, folder, &variables).await;
        let lines: Vec<_> = printed.lines().collect();
        if fits(&step.expected, &lines) {
            println!("$ {}\n{printed}", step.command);
            return None;
        }
        if Instant::now() >= deadline {
            let expected = step.expected.join("\n");
            return Some(format!(
                "line {}: `{}` prints\n{printed}\ninstead of\n{expected}",
                step.line, step.command
            ));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Runs a command after `preamble`; what it wrote to standard output and standard error, whatever its exit code.
async fn run(preamble: &[String], command: &str, folder: &Path, variables: &[(&str, String)]) -> String {
    // In the order in which it is written.
    let script = format!("exec 2>&1\n{}\n{command}\n", preamble.join("\n"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true)
        .output()
        .await
        .expect("bash can be run");
    without_colour(&String::from_utf8_lossy(&output.stdout))
}

/// Velero colours what it prints, on a terminal or not.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or(part, |(_, after)| after)
    })
}

/// Whether `printed` is what `expected` says.
fn fits(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.iter().all(|line| line.trim().is_empty()),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        Some((first, rest)) => match printed.split_first() {
            // Empty lines tell nobody anything.
            Some((line, later)) if line.trim().is_empty() => fits(expected, later),
            Some(_) | None if first.trim().is_empty() => fits(rest, printed),
            Some((line, later)) => line_fits(first, line) && fits(rest, later),
            None => false,
        },
    }
}

fn line_fits(expected: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (expected, printed) = (words(expected), words(printed));
    let parts: Vec<_> = expected.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else {
        return expected == printed;
    };
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        let Some((_, later)) = rest.split_once(part) else {
            return false;
        };
        rest = later;
    }
    rest.ends_with(last)
}

#[test]
fn commands_are_read_with_their_section_and_what_they_print() {
    let guide =
        "# Guide\n\n## First\n\n```yaml\n$ no\n```\n\n```console\n$ one \\\n    more\nsaid\n$ two\n```\n";
    let step = |line, command: &str, expected: &[&str]| Step {
        section: "First".into(),
        line,
        command: command.into(),
        expected: expected.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(
        steps(guide),
        [step(10, "one \\\n    more", &["said"]), step(13, "two", &[])]
    );
}

#[test]
fn colours_are_left_out() {
    assert_eq!(
        without_colour("\u{1b}[1mshop\u{1b}[22m: \u{1b}[32mmum\u{1b}[0m\n"),
        "shop: mum\n"
    );
    assert_eq!(without_colour("plain [1m"), "plain [1m");
}

#[test]
fn what_is_printed_fits_only_what_was_expected() {
    let cases = [
        (&["a  b"][..], &["a b"][..], true),
        (&["a b"], &["a c"], false),
        (&["a … d"], &["a b c d"], true),
        (&["a … d"], &["a b c"], false),
        (&["a", "…", "z"], &["a", "b", "c", "z"], true),
        (&["a", "…", "z"], &["a", "z"], true),
        (&["a", "…"], &["b"], false),
        (&["a", "", "b"], &["", "a", "b", ""], true),
        (&["a"], &["a", "b"], false),
        (&["a", "b"], &["a"], false),
        (&[], &["a"], false),
        (&["…"], &[], true),
    ];
    for (expected, printed, verdict) in cases {
        let lines: Vec<_> = expected.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(fits(&lines, printed), verdict, "{expected:?} {printed:?}");
    }
}
