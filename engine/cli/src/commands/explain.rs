//! `holdfast explain`: what the program's words mean, from the program itself.

use std::fmt::Write as _;

use holdfast_engine::Phase;
use holdfast_engine::phase::TABLE;
use holdfast_policy::Code;

use super::Exit;
use crate::arguments::Topic;
use crate::printer::Printer;

pub(crate) fn run(topic: Topic, printer: Printer) -> Exit {
    let text = match topic {
        Topic::States => states(),
        Topic::Codes => codes(),
    };
    printer.answer(&text);
    Exit::Done
}

fn states() -> String {
    let mut out = String::from("Each resource is in one of these phases:\n\n");
    for phase in Phase::ALL {
        let _ = writeln!(out, "  {:<10} {}", phase.to_string(), phase.meaning());
    }
    out.push_str("\nA phase changes only so:\n\n");
    for row in TABLE {
        let from = match row.from {
            [one] => one.to_string(),
            [one, other] => format!("{one} or {other}"),
            _ => "any but Applying".to_owned(),
        };
        let _ = writeln!(
            out,
            "  {from:<18} {:<15} -> {}",
            format!("{:?}", row.event),
            row.to
        );
    }
    out.push_str("\nA write proves nothing: only an observation after it can make a resource Converged.\n");
    out
}

fn codes() -> String {
    Code::ALL.iter().fold(String::new(), |mut out, code| {
        let _ = writeln!(out, "{}  {}", code.id(), code.meaning());
        out
    })
}
