//! The one way out: everything that the program says to a person or a pipe goes through here.

use std::io::{self, BufRead, IsTerminal, Write};

/// Prints to standard output and standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    colour: bool,
}

impl Printer {
    /// Prints with colours or without.
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// Whether text may have colours.
    pub(crate) fn colour(self) -> bool {
        self.colour
    }

    /// The answer: `text` as it is, on standard output.
    #[expect(clippy::unused_self, reason = "all output goes through the printer")]
    pub(crate) fn answer(self, text: &str) {
        // A reader that went away has what it wanted.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }

    /// A line on standard error, beside the answer.
    #[expect(clippy::unused_self, reason = "all output goes through the printer")]
    pub(crate) fn aside(self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// What went wrong, on standard error.
    pub(crate) fn error(self, message: &str) {
        let word = if self.colour {
            "\u{1b}[1;31merror\u{1b}[0m"
        } else {
            "error"
        };
        self.aside(&format!("{word}: {message}"));
    }

    /// The width to fold at: the terminal's, at most 100.
    #[expect(clippy::unused_self, reason = "all output goes through the printer")]
    pub(crate) fn width(self) -> usize {
        std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or(100, |width: usize| width.clamp(40, 100))
    }

    /// Whether somebody can be asked.
    #[expect(clippy::unused_self, reason = "all output goes through the printer")]
    pub(crate) fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Asks; only `yes` is yes.
    pub(crate) fn ask(self, question: &str) -> bool {
        self.answer(&format!("{question} "));
        let _ = io::stdout().flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes"
    }
}
