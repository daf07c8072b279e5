//! What expressions may name, in each place, with the types as far as they are known.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use holdfast_contract::Shape;
use holdfast_expression::{Environment, Field, ObjectType, Type};

use crate::kinds::Kinds;
use crate::yaml;

/// The types of all that a policy names.
pub(crate) struct Names<'k> {
    pub(crate) kinds: &'k Kinds,
    base: Environment,
    with_rules: Environment,
    made: RefCell<BTreeMap<Wanted, Rc<Environment>>>,
}

/// What an expression in some place of a rule may use, beside parameters, facts, variables and rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// The item of the rule's `forEach`.
    pub(crate) each: bool,
    /// The resource itself.
    pub(crate) this: This,
    /// A function that isn't for everywhere.
    pub(crate) extra: Extra,
}

/// A function that isn't for everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extra {
    /// None.
    #[default]
    None,
    /// `now()`.
    Time,
    /// `randomString(n)`.
    Random,
}

/// What `self` is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum This {
    /// Nothing.
    #[default]
    None,
    /// What is known of a resource of this kind from its identity.
    Identity(String),
    /// The observed resource of this kind.
    Observed(String),
}

impl<'k> Names<'k> {
    pub(crate) fn new(kinds: &'k Kinds, parameters: Type, facts: Type, variables: Type, rules: Type) -> Self {
        let base = Environment::new()
            .root("parameters", parameters)
            .root("facts", facts)
            .root("variables", variables)
            .yaml(yaml::to_json);
        let with_rules = base.clone().root("rules", rules);
        Self {
            kinds,
            base,
            with_rules,
            made: RefCell::default(),
        }
    }

    /// What may be used where parameters, facts and variables are all there is.
    pub(crate) const fn base(&self) -> &Environment {
        &self.base
    }

    /// The same with rules.
    pub(crate) const fn with_rules(&self) -> &Environment {
        &self.with_rules
    }

    /// What may be used where `wanted` is there. `item` is what is known of the rule's items.
    pub(crate) fn environment(&self, wanted: &Wanted, item: &Type) -> Rc<Environment> {
        let reusable = !wanted.each || *item == Type::Dyn;
        if reusable && let Some(made) = self.made.borrow().get(wanted) {
            return Rc::clone(made);
        }
        let mut environment = self.with_rules.clone();
        if wanted.each {
            environment = environment.root("each", each(item.clone()));
        }
        environment = match &wanted.this {
            This::None => environment,
            This::Identity(kind) => environment.root("self", self.identity(kind)),
            This::Observed(kind) => environment.root("self", self.observed(kind)),
        };
        environment = match wanted.extra {
            Extra::None => environment,
            Extra::Time => environment.allow_now(),
            Extra::Random => environment.allow_random(),
        };
        let environment = Rc::new(environment);
        if reusable {
            self.made
                .borrow_mut()
                .insert(wanted.clone(), Rc::clone(&environment));
        }
        environment
    }

    fn identity(&self, kind: &str) -> Type {
        // What isn't a kind is reported as such, and nothing more is said of it.
        if !self.kinds.is_known(kind) {
            return Type::Dyn;
        }
        let attributes = self.kinds.attributes(kind);
        Type::Object(ObjectType::closed(
            "self",
            attributes
                .into_iter()
                .map(|name| (name, Field::optional(Type::String))),
        ))
    }

    fn observed(&self, name: &str) -> Type {
        let Some(kind) = self.kinds.get(name) else {
            return Type::Dyn;
        };
        let Shape::Object(fields) = kind.shape() else {
            return Type::Dyn;
        };
        let declared = fields.keys().map(|name| (*name).to_owned());
        let facets = kind.facets().iter().map(|facet| facet.as_str().to_owned());
        let names = declared.chain(facets).chain(self.kinds.attributes(name));
        Type::Object(ObjectType::closed(
            "self",
            names.map(|name| (name, Field::optional(Type::Dyn))),
        ))
    }
}

/// What `each` is, with items of the type `item`.
pub(super) fn each(item: Type) -> Type {
    Type::Object(ObjectType::closed(
        "each",
        [
            ("key", Field::optional(Type::Dyn)),
            ("value", Field::required(item)),
        ],
    ))
}

/// What a loop over `over` gives.
pub(super) fn item_type(over: &Type) -> Type {
    match over {
        Type::List(item) | Type::Map(item) => (**item).clone(),
        _ => Type::Dyn,
    }
}

/// The same environment inside a `$forEach`.
pub(super) fn inner_each(environment: &Environment) -> Environment {
    environment.clone().root("each", each(Type::Dyn))
}
