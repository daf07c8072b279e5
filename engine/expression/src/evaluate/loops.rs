//! Macros over lists and maps.

use std::collections::BTreeMap;

use super::collections::insert;
use super::{Machine, list_of};
use crate::error::{Outcome, fault};
use crate::flow::{Flow, Verdict, not_a_bool};
use crate::node::{Loop, LoopKind, Node, Variables};
use crate::{ErrorKind, MapKey, Span, Value};

/// What a loop has made so far.
struct Gathered {
    flow: Flow,
    list: Vec<Value>,
    map: BTreeMap<MapKey, Value>,
    /// How many elements fulfil the condition of `exists_one`.
    count: usize,
}

/// One element or entry of what is looped over.
struct Turn {
    key: MapKey,
    value: Value,
    /// What the variable is where there is only one: a list's element, a map's key.
    single: Value,
}

impl Machine<'_> {
    pub(super) fn run_loop(&mut self, span: Span, looped: &Loop) -> Outcome {
        let range = self.evaluate(&looped.range)?;
        let mut flow = Flow::default();
        let range = flow.open(range, looped.range.span)?;
        if let Some(unknown) = flow.unknown() {
            return Ok(unknown);
        }
        let turns = turns(&range, looped.range.span)?;
        match looped.kind {
            LoopKind::All | LoopKind::Exists => self.decide(looped, flow, turns),
            _ => self.gather(span, looped, flow, turns),
        }
    }

    /// `all` and `exists`, which absorb errors as `&&` and `||` do.
    fn decide(&mut self, looped: &Loop, flow: Flow, turns: impl Iterator<Item = Turn>) -> Outcome {
        let hidden = flow.sensitive;
        let mut verdict = Verdict::new(looped.kind == LoopKind::Exists, flow);
        for turn in turns {
            self.bind_turn(looped.variables, &turn, hidden);
            let value = self.evaluate(&looped.body);
            if verdict.take(value, looped.body.span)? {
                return Ok(verdict.settled());
            }
        }
        verdict.open_end()
    }

    fn gather(
        &mut self,
        span: Span,
        looped: &Loop,
        flow: Flow,
        turns: impl Iterator<Item = Turn>,
    ) -> Outcome {
        let hidden = flow.sensitive;
        let mut gathered = Gathered {
            flow,
            list: Vec::new(),
            map: BTreeMap::new(),
            count: 0,
        };
        for turn in turns {
            self.bind_turn(looped.variables, &turn, hidden);
            let takes_part = match &looped.condition {
                Some(condition) => self.holds(&mut gathered.flow, condition)?,
                None => true,
            };
            if takes_part {
                self.take_turn(span, looped, turn, &mut gathered)?;
            }
        }
        Ok(gathered.flow.close(match looped.kind {
            LoopKind::ExistsOne => Value::Bool(gathered.count == 1),
            LoopKind::Map | LoopKind::Entries => Value::from(gathered.map),
            _ => list_of(gathered.list),
        }))
    }

    fn take_turn(&mut self, span: Span, looped: &Loop, turn: Turn, gathered: &mut Gathered) -> Outcome<()> {
        match looped.kind {
            LoopKind::ExistsOne => {
                let one = usize::from(self.holds(&mut gathered.flow, &looped.body)?);
                gathered.count = gathered.count.saturating_add(one);
            }
            LoopKind::Filter => {
                if self.holds(&mut gathered.flow, &looped.body)? {
                    self.budget.elements(1, span)?;
                    gathered.list.push(turn.single);
                }
            }
            LoopKind::Map => {
                let value = self.evaluate(&looped.body)?;
                if !matches!(value, Value::Omit) {
                    self.budget.elements(1, span)?;
                    gathered.map.insert(turn.key, value);
                }
            }
            LoopKind::Entries => self.take_entries(span, looped, gathered)?,
            LoopKind::All | LoopKind::Exists | LoopKind::List => {
                let value = self.evaluate(&looped.body)?;
                if !matches!(value, Value::Omit) {
                    self.budget.elements(1, span)?;
                    gathered.list.push(value);
                }
            }
        }
        Ok(())
    }

    fn take_entries(&mut self, span: Span, looped: &Loop, gathered: &mut Gathered) -> Outcome<()> {
        let value = self.evaluate(&looped.body)?;
        match gathered.flow.open(value, looped.body.span)? {
            Value::Map(entries) => {
                self.budget.elements(entries.len(), span)?;
                for (key, value) in entries.iter() {
                    insert(&mut gathered.map, key.clone(), value.clone(), looped.body.span)?;
                }
                Ok(())
            }
            _ if !gathered.flow.is_known() => Ok(()),
            other => {
                let message = format!(
                    "`transformMapEntry` needs a map here, and this is of type {}",
                    other.kind()
                );
                Err(fault(ErrorKind::Type, looped.body.span, message))
            }
        }
    }

    /// Whether a condition holds; false while that is unknown, which then shows in the result as a whole.
    fn holds(&mut self, flow: &mut Flow, condition: &Node) -> Outcome<bool> {
        let value = self.evaluate(condition)?;
        match flow.open(value, condition.span)? {
            Value::Bool(bool) => Ok(bool),
            _ if !flow.is_known() => Ok(false),
            other => Err(not_a_bool(&other, condition.span)),
        }
    }

    /// Sets the variables. What comes out of a sensitive list or map is sensitive itself.
    fn bind_turn(&mut self, variables: Variables, turn: &Turn, hidden: bool) {
        let mark = |value: Value| if hidden { Value::sensitive(value) } else { value };
        match variables {
            Variables::One(slot) => self.set_local(slot, mark(turn.single.clone())),
            Variables::Two(first, second) => {
                self.set_local(first, mark(turn.key.to_value()));
                self.set_local(second, mark(turn.value.clone()));
            }
        }
    }
}

/// The elements of a list in their order, or the entries of a map in key order.
fn turns(range: &Value, span: Span) -> Outcome<Box<dyn Iterator<Item = Turn> + '_>> {
    match range {
        Value::List(elements) => Ok(Box::new((0_i64..).zip(elements.iter()).map(
            |(index, element)| Turn {
                key: MapKey::Int(index),
                value: element.clone(),
                single: element.clone(),
            },
        ))),
        Value::Map(entries) => Ok(Box::new(entries.iter().map(|(key, value)| Turn {
            key: key.clone(),
            value: value.clone(),
            single: key.to_value(),
        }))),
        other => {
            let message = format!(
                "a macro runs over a list or a map, and this is of type {}",
                other.kind()
            );
            Err(fault(ErrorKind::Type, span, message))
        }
    }
}
