//! A compiled expression.

use std::sync::Arc;

use crate::check::Checker;
use crate::evaluate::Machine;
use crate::node::Node;
use crate::{Budget, Context, Environment, Error, Reference, Scope, Type, Value, YamlDecoder, parser};

/// An expression that has been checked and can be evaluated any number of times. Cloning is cheap.
///
/// ```
/// use holdfast_expression::{Bindings, Budget, Context, Environment, Program, Type, Value};
///
/// let environment = Environment::new().root("parameters", Type::Dyn);
/// let program = Program::compile("parameters.expiryDays * 24", &environment).unwrap();
/// let scope = Bindings::new().with("parameters", Value::map([("expiryDays", 90)]));
/// let context = Context::at(time::OffsetDateTime::UNIX_EPOCH);
/// let value = program.evaluate(&scope, &mut Budget::default(), &context);
/// assert_eq!(value, Ok(Value::Int(2160)));
/// ```
#[derive(Clone, Debug)]
pub struct Program(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: String,
    node: Node,
    result_type: Type,
    references: Vec<Reference>,
    slots: usize,
    nests: bool,
    yaml: Option<YamlDecoder>,
}

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// All faults that can be found, in the order of their places, and at least one. A fault of syntax is alone.
    pub fn compile(source: &str, environment: &Environment) -> Result<Self, Vec<Error>> {
        let expression = parser::parse(source).map_err(|error| vec![*error])?;
        let mut checker = Checker::new(environment, source);
        let root = checker.value(&expression);
        if !checker.errors.is_empty() {
            checker.errors.sort_by_key(|error| error.span);
            return Err(checker.errors);
        }
        checker.references.sort_by_key(|reference| reference.span);
        Ok(Self(Arc::new(Compiled {
            source: source.to_owned(),
            node: root.node,
            result_type: root.r#type,
            references: checker.references,
            slots: checker.slots,
            nests: checker.nests,
            yaml: environment.yaml,
        })))
    }

    /// The source text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The type of the result, as far as it is known.
    #[must_use]
    pub fn result_type(&self) -> &Type {
        &self.0.result_type
    }

    /// The paths that it names, in the order of their places.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// Evaluates the expression. What it uses is taken from the budget.
    ///
    /// # Errors
    ///
    /// The first fault that no `||`, `&&`, `all` or `exists` has absorbed, with its place in the source text.
    pub fn evaluate(
        &self,
        scope: &dyn Scope,
        budget: &mut Budget,
        context: &Context<'_>,
    ) -> Result<Value, Error> {
        let mut machine = Machine {
            scope,
            budget,
            context,
            source: &self.0.source,
            yaml: self.0.yaml,
            locals: vec![Value::Null; self.0.slots],
        };
        let value = machine.evaluate(&self.0.node).map_err(|error| *error)?;
        if self.0.nests {
            budget.nesting(&value, self.0.node.span).map_err(|error| *error)?;
        }
        Ok(value)
    }
}
