//! What a rule's resources are to be.

use std::sync::Arc;

use holdfast_contract::Kind;

use super::Reader;
use crate::check::shape::{self, Strictness};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::json_path::PathQuery;
use crate::kinds::OBJECT;
use crate::model::{Document, Verb};
use crate::read::compile::{TreeCompiler, verbatim};
use crate::read::environments::{Extra, This, inner_each};
use crate::read::fields::wrong_type;
use crate::yaml::{Data, Key, Node};

impl Reader<'_> {
    pub(super) fn documents(
        &self,
        verb: Verb,
        key: &Key,
        kind: Option<&dyn Kind>,
        initial: &[PathQuery],
        faults: &mut Diagnostics,
    ) -> Vec<Document> {
        if verb == Verb::Check {
            return Vec::new();
        }
        let this = This::Identity(self.kind_name.to_owned());
        let environment = self.scope.environment(this.clone(), Extra::None);
        let random = self.scope.environment(this, Extra::Random);
        let under: Vec<Vec<String>> = initial.iter().map(PathQuery::leading_names).collect();
        let random = (!under.is_empty()).then_some((&*random, under));
        let compiler = TreeCompiler {
            environment: &environment,
            random,
            each: &inner_each,
        };
        let mut documents = Vec::new();
        for (node, computed) in self.nodes(faults) {
            let tree = if computed {
                compiler.tree(&node, faults)
            } else {
                verbatim(&node)
            };
            match kind {
                Some(_) if self.kind_name == OBJECT => shape::check_object(&tree, verb, faults),
                Some(kind) => {
                    let strictness = if verb == Verb::Ensure {
                        Strictness::Whole
                    } else {
                        Strictness::Partial
                    };
                    shape::check(&tree, kind.shape(), self.kind_name, strictness, faults);
                }
                None => {}
            }
            documents.push(Document { tree });
        }
        let says_nothing = ["desired", "manifests", "templates"]
            .iter()
            .all(|name| self.fields.node().get(name).is_none());
        if self.kind_name == OBJECT && says_nothing {
            let message = format!("rule `{}` doesn't say which objects", key.text);
            let fault = Diagnostic::error(Code::MissingField, key.place.clone(), message);
            faults.push(fault.with_hint("add `desired`, `manifests` or `templates`"));
        }
        documents
    }

    /// The documents as written, and whether they have templates in them.
    fn nodes(&self, faults: &mut Diagnostics) -> Vec<(Arc<Node>, bool)> {
        let mut nodes = Vec::new();
        if let Some(desired) = self.fields.get("desired") {
            match &desired.data {
                Data::List(items) if self.kind_name == OBJECT => {
                    nodes.extend(items.iter().map(|item| (Arc::new(item.clone()), true)));
                }
                Data::Map(_) => nodes.push((Arc::new(desired.clone()), true)),
                Data::Text(text, _) if text.contains("${") => nodes.push((Arc::new(desired.clone()), true)),
                _ => {
                    let expected = if self.kind_name == OBJECT {
                        "a map, or a list of maps"
                    } else {
                        "a map"
                    };
                    wrong_type::<()>(desired, "desired", expected, faults);
                }
            }
        }
        for (field, computed) in [("manifests", false), ("templates", true)] {
            if let Some(node) = self.fields.get(field).filter(|_| self.kind_name != OBJECT) {
                let message = format!("`{field}` hold objects; a {} has `desired`", self.kind_name);
                faults.push(Diagnostic::error(Code::Conflict, node.place.clone(), message));
                continue;
            }
            for (_, pattern) in self.fields.texts(field, faults) {
                let documents = self.scope.known.documents(pattern);
                nodes.extend(documents.iter().map(|document| (Arc::clone(document), computed)));
            }
        }
        nodes
    }
}
