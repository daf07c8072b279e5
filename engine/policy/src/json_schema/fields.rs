//! The fields of the policy document, with what each means in one sentence.

use crate::model::{CheckSeverity, Mode, SchemaType};

/// A field: its name, what it holds, and what it means.
pub(super) type Row = (&'static str, Holds, &'static str);

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number, 0 or more.
    Count,
    /// Any number.
    Number,
    /// Text.
    Text,
    /// Texts.
    Texts,
    /// A duration.
    Duration,
    /// A bare expression.
    Expression,
    /// One of these words.
    Word(&'static [&'static str]),
    /// What this definition says.
    One(&'static str),
    /// A list of what this definition says.
    List(&'static str),
    /// A map of what this definition says, by identifier.
    Map(&'static str),
    /// A map of anything.
    Free,
    /// A kind.
    Kind,
}

/// The fields of a policy's `spec`.
pub(super) const SPEC: &[Row] = &[
    (
        "language",
        Holds::Count,
        "The language's version: 1. Expressions, functions and merge rules stay as they are in it.",
    ),
    (
        "mode",
        Holds::Word(Mode::NAMES),
        "Enforce (default), or Observe: report, never write. A rule may weaken it.",
    ),
    (
        "interval",
        Holds::Duration,
        "How often cloud state is read again; 5m unless said otherwise.",
    ),
    (
        "serviceAccountName",
        Holds::Text,
        "Of a Policy resource: it acts as this account of its own namespace. Not used where the policy is a file.",
    ),
    ("suspend", Holds::Bool, "Pauses the policy."),
    (
        "approve",
        Holds::Text,
        "The hash of a plan that was held up by a limit and may now run, once.",
    ),
    (
        "limits",
        Holds::One("limits"),
        "Caps for one cycle; over one, everything waits for `approve`.",
    ),
    (
        "parameters",
        Holds::Map("parameter"),
        "Typed inputs. Without a default one is required, unless `optional: true`.",
    ),
    ("values", Holds::Free, "Values that the policy itself carries."),
    (
        "valuesFrom",
        Holds::List("valuesFrom"),
        "ConfigMaps and Secrets that fill parameters.",
    ),
    (
        "files",
        Holds::Free,
        "Path to text: manifests and templates carried inside the policy.",
    ),
    (
        "facts",
        Holds::Map("fact"),
        "Read-only observations, fixed within a pass.",
    ),
    (
        "variables",
        Holds::Free,
        "Named values; they may use parameters, facts and one another.",
    ),
    (
        "require",
        Holds::List("requirement"),
        "Gates: until all hold nothing is written.",
    ),
    (
        "providers",
        Holds::Map("provider"),
        "By type, or by a name with `type:`; opened only when an active rule needs one.",
    ),
    (
        "defaults",
        Holds::Free,
        "By kind: laid under every `desired` of that kind.",
    ),
    (
        "rules",
        Holds::Map("rule"),
        "What must be so. Their order means nothing.",
    ),
    (
        "use",
        Holds::Any,
        "Reserved: policies as modules aren't there yet.",
    ),
    (
        "with",
        Holds::Any,
        "Reserved: policies as modules aren't there yet.",
    ),
];

/// The fields of a rule that its cases don't have.
pub(super) const RULE: &[Row] = &[
    (
        "when",
        Holds::Expression,
        "False: Skipped. What was there stays: skipping never removes.",
    ),
    (
        "forEach",
        Holds::Expression,
        "One instance per item, as `each.key` and `each.value`.",
    ),
    (
        "key",
        Holds::Expression,
        "What an instance is called; maps and lists of texts key themselves.",
    ),
    ("after", Holds::Texts, "Order by hand: `x`, `x[each.key]`."),
    (
        "formerly",
        Holds::Texts,
        "Earlier keys of this rule, so that renaming it mints no twin.",
    ),
    (
        "cases",
        Holds::List("case"),
        "The one that holds is the rule; two that hold are an error; none: Skipped.",
    ),
    (
        "use",
        Holds::Any,
        "Reserved: policies as modules aren't there yet.",
    ),
    (
        "with",
        Holds::Any,
        "Reserved: policies as modules aren't there yet.",
    ),
];

/// The fields of a rule that its cases may have too.
pub(super) const VARIANT: &[Row] = &[
    ("ensure", Holds::Kind, "This must be so."),
    (
        "observe",
        Holds::Kind,
        "Read it for `checks`; never written, whatever the mode.",
    ),
    (
        "forbid",
        Holds::Kind,
        "Must not be there; deletes only with `allow: [Delete]`.",
    ),
    ("create", Holds::Bool, "false: only where it exists already."),
    (
        "name",
        Holds::One("name"),
        "A text, or `{ generate: PREFIX, record: rules.RULE.FIELD }`.",
    ),
    ("region", Holds::Text, "Where it lies."),
    ("provider", Holds::Any, "A provider's name, or a map of its own."),
    ("mode", Holds::Text, "A weaker mode than the policy's."),
    (
        "adopt",
        Holds::One("adopt"),
        "An existing resource that bears all of these is ours.",
    ),
    (
        "desired",
        Holds::Any,
        "One document, or a list of them for objects. Only what is declared is enforced.",
    ),
    (
        "manifests",
        Holds::Texts,
        "Files as they are, in the policy's folder.",
    ),
    (
        "templates",
        Holds::Texts,
        "Files with ${…}, in the policy's folder.",
    ),
    (
        "require",
        Holds::List("requirement"),
        "Holds up this rule's writes, or those facets only.",
    ),
    (
        "ready",
        Holds::Expression,
        "When it is ready, by `self`; as its kind says unless given.",
    ),
    (
        "checks",
        Holds::List("check"),
        "What should hold on the last observation; never a gate.",
    ),
    (
        "exact",
        Holds::Texts,
        "JSONPaths under which whatever isn't declared is removed.",
    ),
    ("absent", Holds::Texts, "JSONPaths that must not be there."),
    (
        "initial",
        Holds::Texts,
        "JSONPaths set at creation, afterwards left as observed.",
    ),
    (
        "stamp",
        Holds::Free,
        "JSONPath to expression: written along with another change, never a reason to write.",
    ),
    (
        "hold",
        Holds::One("hold"),
        "While it holds, disruptive steps wait.",
    ),
    (
        "allow",
        Holds::One("allow"),
        "The dangerous things that it may do.",
    ),
    (
        "onRemove",
        Holds::Word(&["Retain", "Delete"]),
        "Retain (default), or Delete: only what the ledger says we created.",
    ),
    (
        "onVanish",
        Holds::Word(&["Hold", "Recreate"]),
        "Hold (default for buckets) or Recreate (default for objects).",
    ),
    (
        "onConflict",
        Holds::Word(&["Take", "Yield"]),
        "Take (default) or Yield, for a field that another manager holds.",
    ),
    (
        "takeOver",
        Holds::One("takeOver"),
        "Fields of these former managers become ours.",
    ),
    (
        "controls",
        Holds::Free,
        "By facet, added to the kind's own: `{ policy: [ SecurityHub/S3.5 ] }`.",
    ),
];

/// The other maps of the language: name, fields, and those of them that must be there.
pub(super) const DEFINITIONS: &[(&str, &[Row], &[&str])] = &[
    (
        "limits",
        &[
            ("changes", Holds::Count, "Most changes."),
            (
                "deletions",
                Holds::Count,
                "Most deletions; 0 unless said otherwise.",
            ),
            (
                "percent",
                Holds::Count,
                "Most changes, in percent of all resources.",
            ),
        ],
        &[],
    ),
    (
        "requirement",
        &[
            ("that", Holds::Expression, "What must hold."),
            ("message", Holds::Text, "What to say when it doesn't."),
            (
                "facets",
                Holds::Texts,
                "The facets whose writes it holds up; all unless given.",
            ),
        ],
        &["that", "message"],
    ),
    (
        "check",
        &[
            ("that", Holds::Expression, "What should hold."),
            ("message", Holds::Text, "What to say when it doesn't."),
            (
                "severity",
                Holds::Word(CheckSeverity::NAMES),
                "How bad that is; medium unless said otherwise.",
            ),
            (
                "controls",
                Holds::Texts,
                "The controls that it stands for: `SecurityHub/S3.5`.",
            ),
        ],
        &["that"],
    ),
    (
        "hold",
        &[
            ("while", Holds::Expression, "The condition."),
            ("message", Holds::Text, "Why."),
            (
                "atMost",
                Holds::Duration,
                "How long at most; 24h unless said otherwise.",
            ),
        ],
        &["while"],
    ),
    (
        "takeOver",
        &[
            ("managers", Holds::Texts, "The former field managers."),
            ("scope", Holds::Texts, "JSONPaths; all unless given."),
        ],
        &["managers"],
    ),
    (
        "adopt",
        &[
            ("tags", Holds::Any, "A map of texts."),
            ("labels", Holds::Any, "A map of texts."),
        ],
        &[],
    ),
    (
        "valuesFrom",
        &[
            ("configMap", Holds::Free, "`{ name, namespace }`."),
            (
                "secret",
                Holds::Free,
                "`{ name, namespace }`; it may fill sensitive parameters only.",
            ),
            ("optional", Holds::Bool, "Whether it may be missing."),
            (
                "key",
                Holds::Text,
                "The one key that holds parameters as YAML; else each key is a parameter.",
            ),
        ],
        &[],
    ),
    (
        "fact",
        &[
            ("object", Holds::One("object"), "One object of a cluster."),
            (
                "list",
                Holds::One("list"),
                "Many objects of a cluster, or resources of a provider.",
            ),
            (
                "api",
                Holds::One("api"),
                "Whether the server, or this plan, knows a kind.",
            ),
            ("optional", Holds::Bool, "Not found is no error."),
            (
                "select",
                Holds::Free,
                "Name to JSONPath, picked from each; `[$..x]` takes all matches.",
            ),
        ],
        &[],
    ),
    (
        "object",
        &[
            ("apiVersion", Holds::Text, "`apps/v1`."),
            ("kind", Holds::Text, "`Deployment`."),
            ("namespace", Holds::Text, "None for cluster-wide objects."),
            ("name", Holds::Text, "Its name."),
            ("provider", Holds::Any, "The provider to read it through."),
        ],
        &["apiVersion", "kind", "name"],
    ),
    (
        "list",
        &[
            (
                "apiVersion",
                Holds::Text,
                "`velero.io/v1`; none for a provider's resources.",
            ),
            ("kind", Holds::Text, "`Schedule`, or `s3/Bucket`."),
            ("namespace", Holds::Text, "All unless given."),
            ("selector", Holds::Text, "A label selector, as kubectl takes it."),
            (
                "namePrefix",
                Holds::Text,
                "How the names of a provider's resources start.",
            ),
            ("provider", Holds::Any, "The provider to read them through."),
        ],
        &["kind"],
    ),
    (
        "api",
        &[
            ("apiVersion", Holds::Text, "`monitoring.coreos.com/v1`."),
            ("kind", Holds::Text, "`ServiceMonitor`."),
        ],
        &["apiVersion", "kind"],
    ),
];

/// The field that only cases have.
pub(super) const CASE: &[Row] = &[("when", Holds::Expression, "Whether this case is the one.")];

/// The fields of a parameter beside those of its schema.
pub(super) const PARAMETER: &[Row] = &[
    ("optional", Holds::Bool, "Absent unless set."),
    ("sensitive", Holds::Bool, "Its value is never shown."),
];

/// The fields of a schema, for parameters and what is inside them.
pub(super) const SCHEMA: &[Row] = &[
    ("type", Holds::Word(SchemaType::NAMES), "The type of its values."),
    ("description", Holds::Text, "What it means."),
    ("default", Holds::Any, "The value where none is given."),
    ("enum", Holds::Any, "The values allowed."),
    ("pattern", Holds::Text, "What text must match."),
    ("minimum", Holds::Number, "The least number."),
    ("maximum", Holds::Number, "The greatest number."),
    ("minLength", Holds::Count, "The least characters."),
    ("maxLength", Holds::Count, "The most characters."),
    ("minItems", Holds::Count, "The fewest items."),
    ("maxItems", Holds::Count, "The most items."),
    ("items", Holds::One("schema"), "What items look like."),
    ("properties", Holds::Free, "What known entries look like."),
    ("required", Holds::Texts, "Entries that must be there."),
    (
        "additionalProperties",
        Holds::Any,
        "What other entries there may be: true, false, or a schema.",
    ),
];
