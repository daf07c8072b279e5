//! A registry for tests: objects of any shape, and buckets with a shape of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_contract::{
    ApiType, Attributes, Desired, Difference, Facet, Field, Implied, Kind, KindName, ListIdentity, Locator,
    NotLocated, Observed, Provider, ProviderConfig, ProviderError, ProviderFactory, Readiness, Registry,
    ResourceKey, Scope, Served, Shape, Value,
};

/// All that tests know: `kubernetes/Object` and `s3/Bucket`.
pub(crate) fn registry() -> Registry {
    let objects = TestKind::new(
        "kubernetes/Object",
        Shape::Any,
        &["object", "status"],
        &["name", "namespace"],
    );
    let buckets = TestKind::new(
        "s3/Bucket",
        bucket(),
        &[
            "bucket",
            "encryption",
            "publicAccessBlock",
            "ownershipControls",
            "acl",
            "versioning",
            "lifecycle",
            "policy",
            "tags",
            "replication",
            "objectLock",
        ],
        &["name", "arn", "region"],
    );
    Registry::default()
        .with(Arc::new(TestFactory {
            provider_type: "kubernetes",
            kind: objects,
            settings: object([]),
        }))
        .with(Arc::new(TestFactory {
            provider_type: "s3",
            kind: buckets,
            settings: object([
                ("region", Shape::TEXT),
                ("endpoint", Shape::TEXT),
                ("pathStyle", Shape::Bool),
                ("account", Shape::TEXT),
            ]),
        }))
}

fn object<const N: usize>(fields: [(&'static str, Shape); N]) -> Shape {
    let field = |shape| Field {
        shape,
        required: false,
        doc: "",
    };
    Shape::Object(
        fields
            .into_iter()
            .map(|(name, shape)| (name, field(shape)))
            .collect(),
    )
}

fn list(item: Shape) -> Shape {
    Shape::List {
        item: Box::new(item),
        identity: ListIdentity::Atomic,
    }
}

fn bucket() -> Shape {
    let status = Shape::String {
        one_of: &["Enabled", "Suspended"],
    };
    let by_default = object([
        (
            "sseAlgorithm",
            Shape::String {
                one_of: &["AES256", "aws:kms", "aws:kms:dsse"],
            },
        ),
        ("kmsMasterKeyID", Shape::TEXT),
    ]);
    let rule = object([
        ("applyServerSideEncryptionByDefault", by_default),
        ("bucketKeyEnabled", Shape::Bool),
    ]);
    let lifecycle = object([
        ("id", Shape::TEXT),
        ("status", status.clone()),
        ("filter", object([("prefix", Shape::TEXT)])),
        ("expiration", object([("days", Shape::Integer)])),
        (
            "abortIncompleteMultipartUpload",
            object([("daysAfterInitiation", Shape::Integer)]),
        ),
    ]);
    object([
        ("encryption", object([("rules", list(rule))])),
        (
            "publicAccessBlock",
            object([
                ("blockPublicAcls", Shape::Bool),
                ("ignorePublicAcls", Shape::Bool),
                ("blockPublicPolicy", Shape::Bool),
                ("restrictPublicBuckets", Shape::Bool),
            ]),
        ),
        (
            "ownershipControls",
            object([("rules", list(object([("objectOwnership", Shape::TEXT)])))]),
        ),
        ("versioning", object([("status", status)])),
        ("lifecycle", object([("rules", list(lifecycle))])),
        ("policy", Shape::Any),
        ("tags", Shape::Map(Box::new(Shape::TEXT))),
        ("replication", Shape::Any),
        ("objectLock", Shape::Any),
    ])
}

#[derive(Debug)]
struct TestKind {
    name: KindName,
    shape: Shape,
    root: Facet,
    facets: Vec<Facet>,
    attributes: &'static [&'static str],
}

impl TestKind {
    fn new(name: &str, shape: Shape, facets: &[&str], attributes: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self {
            name: KindName::from(name),
            shape,
            root: facets.first().map(|facet| Facet::from(*facet)).unwrap(),
            facets: facets.iter().map(|facet| Facet::from(*facet)).collect(),
            attributes,
        })
    }
}

impl Kind for TestKind {
    fn name(&self) -> &KindName {
        &self.name
    }
    fn shape(&self) -> &Shape {
        &self.shape
    }
    fn keeps_managers(&self) -> bool {
        self.name.as_str() == "kubernetes/Object"
    }
    fn facets(&self) -> &[Facet] {
        &self.facets
    }
    fn root_facet(&self) -> &Facet {
        &self.root
    }
    fn split(&self, desired: Value) -> BTreeMap<Facet, Value> {
        [(self.root.clone(), desired)].into()
    }
    fn locate(&self, locator: &Locator<'_>) -> Result<ResourceKey, NotLocated> {
        Err(NotLocated::Invalid(format!(
            "{} is never located in these tests",
            locator.provider
        )))
    }
    fn attributes(&self, key: &ResourceKey) -> Attributes {
        [("name", Value::from(key.name.as_str()))].into()
    }
    fn attribute_names(&self) -> &[&'static str] {
        self.attributes
    }
    fn implied(&self, _key: &ResourceKey) -> Implied {
        Implied::default()
    }
    fn defines(&self, _key: &ResourceKey, _desired: &Value) -> Vec<(ApiType, Scope)> {
        Vec::new()
    }
    fn scope(&self, _api: &ApiType) -> Option<Served> {
        None
    }
    fn created_with(&self) -> &[Facet] {
        &[]
    }
    fn written_after(&self, _facet: &Facet) -> &[Facet] {
        &[]
    }
    fn compare(
        &self,
        _facet: &Facet,
        _desired: &Desired,
        _observed: Option<&Observed>,
        _manager: &str,
    ) -> Vec<Difference> {
        Vec::new()
    }
    fn wants_preview(&self, _facet: &Facet) -> bool {
        false
    }
    fn merge(
        &self,
        _facet: &Facet,
        desired: &Desired,
        _observed: Option<&Observed>,
        _manager: &str,
    ) -> Value {
        desired.value.clone()
    }
    fn ready(&self, _observed: &Observed) -> Readiness {
        Readiness::Ready
    }
    fn document(&self, _observed: &Observed) -> Value {
        Value::map()
    }
    fn fact(&self, _observed: &Observed) -> Value {
        Value::map()
    }
    fn cascades(&self, _key: &ResourceKey) -> Option<&'static str> {
        None
    }
}

#[derive(Debug)]
struct TestFactory {
    provider_type: &'static str,
    kind: Arc<TestKind>,
    settings: Shape,
}

#[async_trait]
impl ProviderFactory for TestFactory {
    fn provider_type(&self) -> &'static str {
        self.provider_type
    }
    fn kinds(&self) -> Vec<Arc<dyn Kind>> {
        vec![Arc::clone(&self.kind) as Arc<dyn Kind>]
    }
    fn settings(&self) -> &Shape {
        &self.settings
    }
    async fn open(&self, _config: ProviderConfig) -> Result<Arc<dyn Provider>, ProviderError> {
        Err(ProviderError::Unavailable {
            service: self.provider_type.to_owned(),
            message: "tests open no provider".to_owned(),
            source: None,
        })
    }
}
