//! Text that holds something else: base64, JSON, YAML.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{Gives, Kind, Overload, Site, unfit};
use crate::error::{Outcome, fault};
use crate::evaluate::Machine;
use crate::{ErrorKind, Value};

use Kind::{Bytes, String as Text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload::function("base64.decode", &[Text], Gives::Bytes, decode),
    Overload::function("base64.encode", &[Bytes], Gives::String, encode),
    Overload::function("base64.encode", &[Text], Gives::String, encode),
    Overload::function("json", &[Text], Gives::Dyn, json),
    Overload::function("yaml", &[Text], Gives::Dyn, yaml),
];

/// Bytes as padded base64 text.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn encode(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let bytes: &[u8] = match values {
        [Value::Bytes(bytes)] => bytes,
        [Value::String(text)] => text.as_bytes(),
        _ => return unfit(site),
    };
    // Four letters for each three bytes, begun or not.
    machine
        .budget
        .text(bytes.len().div_ceil(3).saturating_mul(4), site.span)?;
    Ok(Value::from(encode_base64(bytes)))
}

/// With or without padding.
fn decode(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    machine.budget.text(text.len(), site.span)?;
    let decoded = STANDARD_NO_PAD.decode(text.trim_end_matches('='));
    let bytes = decoded.map_err(|_| fault(ErrorKind::Conversion, site.span, "this text isn't base64"))?;
    Ok(Value::Bytes(bytes.into()))
}

fn json(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    // A document of one-letter values takes some thirty times the memory of its text.
    machine.budget.elements(text.len(), site.span)?;
    let document: serde_json::Value = serde_json::from_str(text)
        .map_err(|_| fault(ErrorKind::Conversion, site.span, "this text isn't JSON"))?;
    Ok(Value::from_json(&document))
}

fn yaml(machine: &mut Machine<'_>, site: &Site<'_>, values: &[Value]) -> Outcome {
    let [Value::String(text)] = values else {
        return unfit(site);
    };
    let Some(decoder) = machine.yaml else {
        return Err(fault(
            ErrorKind::Restricted,
            site.span,
            "`yaml` isn't available here",
        ));
    };
    machine.budget.elements(text.len(), site.span)?;
    let document =
        decoder(text).map_err(|_| fault(ErrorKind::Conversion, site.span, "this text isn't YAML"))?;
    // Anchors make a document larger than its text.
    machine.budget.elements(nodes(&document), site.span)?;
    Ok(Value::from_json(&document))
}

fn nodes(document: &serde_json::Value) -> usize {
    match document {
        serde_json::Value::Array(elements) => elements.iter().map(nodes).fold(1, usize::saturating_add),
        serde_json::Value::Object(fields) => fields.values().map(nodes).fold(1, usize::saturating_add),
        _ => 1,
    }
}
