//! A checked policy: what validation gives, and what the engine works from.

mod fact;
mod parameter;
mod policy;
mod provider;
mod rule;
mod text;

pub use fact::{Fact, FactSource};
pub use parameter::{AdditionalProperties, Parameter, Schema, SchemaType, ValuesFrom, ValuesSource};
pub use policy::{Limits, Mode, Requirement, ValidPolicy, Variable};
pub use provider::{Credential, ProviderDeclaration, ProviderReference};
pub use rule::{
    Adopt, AdoptBy, After, Allowance, Check, CheckSeverity, Document, Hold, Name, OnConflict, OnRemove,
    OnVanish, Record, Rule, Stamp, TakeOver, Variant, Verb,
};
pub use text::{Entry, Expression, Part, Reference, Template, Tree, TreeNode};
