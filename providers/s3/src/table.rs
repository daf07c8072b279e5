//! The table of a bucket's sub-resources: one row for each facet.
//!
//! A further setting of the service is a further row here, and its document in [`documents`].

use holdfast_contract::Shape;

use crate::documents;
use crate::schema::{self, Element};

/// The facet that stands for the bucket itself.
pub(crate) const ROOT_FACET: &str = "bucket";

/// One facet: its sub-resource, its document, and how the service tells and takes "unset".
#[derive(Debug)]
pub(crate) struct Row {
    /// The facet, as a policy writes it.
    pub(crate) facet: &'static str,
    /// The sub-resource, as it stands in a request's query.
    pub(crate) query: &'static str,
    /// The root element; the first is written, all are accepted. An answer under any other root is not of this
    /// sub-resource: many stores answer unknown ones with a list of objects.
    pub(crate) roots: &'static [&'static str],
    /// The error codes that say "not set".
    pub(crate) absent: &'static [&'static str],
    /// Its document.
    pub(crate) document: Document,
    /// Whether an answer with nothing in it says "not set".
    pub(crate) empty_is_unset: bool,
    /// How it is unset.
    pub(crate) clear: Clear,
    /// A field that travels in a header and not in the document.
    pub(crate) header: Option<Header>,
    /// The permissions to read, write and delete it.
    pub(crate) actions: Actions,
    /// What it is, in one sentence.
    pub(crate) doc: &'static str,
}

/// How a facet's document travels, and what it looks like to a policy.
#[derive(Debug)]
pub(crate) enum Document {
    /// XML, element by element.
    Xml(&'static [Element]),
    /// XML of keys and values, a map to a policy.
    Tags,
    /// XML of the account and not of the bucket. Never written.
    Account(&'static [Element]),
    /// An access list: its elements, and whether only the owner is in it. Never written.
    Acl(&'static [Element]),
    /// JSON, word for word.
    Policy,
    /// Many documents of XML, each under an id of its own: the list of them, as the service lists them.
    Listed(&'static Element),
}

/// How a sub-resource is unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clear {
    /// By DELETE, and only after a GET has just returned its document: stores that don't know a sub-resource take
    /// its DELETE for one of the bucket.
    Delete,
    /// By a PUT of an empty document.
    PutEmpty,
    /// Not at all.
    Never,
}

/// A field that travels in a header.
#[derive(Debug)]
pub(crate) struct Header {
    /// The header's name.
    pub(crate) name: &'static str,
    /// The field at the document's root.
    pub(crate) element: Element,
}

/// Permissions, as IAM names them.
#[derive(Debug)]
pub(crate) struct Actions {
    /// To read it.
    pub(crate) read: &'static str,
    /// To write it.
    pub(crate) write: &'static str,
    /// To delete it.
    pub(crate) delete: &'static str,
}

impl Actions {
    const fn new(read: &'static str, write: &'static str) -> Self {
        Self {
            read,
            write,
            delete: write,
        }
    }
}

impl Row {
    /// The shape of its document in a policy.
    pub(crate) fn shape(&self) -> Shape {
        match &self.document {
            Document::Xml(elements) => {
                let mut fields = schema::fields(elements);
                if let Some(Header { element, .. }) = &self.header {
                    fields.extend(schema::fields(std::slice::from_ref(element)));
                }
                Shape::Object(fields)
            }
            Document::Tags => Shape::Map(Box::new(Shape::TEXT)),
            Document::Acl(elements) => {
                let mut fields = schema::fields(elements);
                fields.extend(schema::fields(&[Element::bool(
                    "",
                    "ownerOnly",
                    "Whether nobody but the owner is granted anything.",
                )]));
                Shape::Object(fields)
            }
            Document::Policy => crate::policy_document::shape(),
            Document::Listed(_) | Document::Account(_) => schema::object(self.elements()),
        }
    }

    /// The elements of its document; none where it isn't of XML that the table describes.
    pub(crate) fn elements(&self) -> &'static [Element] {
        match self.document {
            Document::Xml(elements) | Document::Acl(elements) | Document::Account(elements) => elements,
            Document::Listed(list) => std::slice::from_ref(list),
            Document::Tags | Document::Policy => &[],
        }
    }

    /// Whether it can be written at all.
    pub(crate) fn writable(&self) -> bool {
        !matches!(self.document, Document::Acl(_) | Document::Account(_))
    }
}

/// The row of `facet`.
pub(crate) fn row(facet: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.facet == facet)
}

/// All rows, in the order in which the facets are best written: what makes others possible or safe comes first.
pub(crate) const ROWS: &[Row] = &[
    Row {
        facet: "tags",
        query: "tagging",
        roots: &["Tagging", "GetBucketTaggingResponse"],
        absent: &["NoSuchTagSet", "NoSuchTagSetError"],
        document: Document::Tags,
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetBucketTagging", "s3:PutBucketTagging"),
        doc: "The bucket's tags.",
    },
    Row {
        facet: "publicAccessBlock",
        query: "publicAccessBlock",
        roots: &[
            "PublicAccessBlockConfiguration",
            "GetPublicAccessBlockResponse",
            "BlockPublicAccessBlockConfiguration",
        ],
        absent: &["NoSuchPublicAccessBlockConfiguration"],
        document: Document::Xml(documents::PUBLIC_ACCESS_BLOCK),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        doc: "What keeps the bucket from becoming public.",
    },
    Row {
        facet: "ownershipControls",
        query: "ownershipControls",
        roots: &["OwnershipControls", "GetBucketOwnershipControlsResponse"],
        absent: &["OwnershipControlsNotFoundError"],
        document: Document::Xml(documents::OWNERSHIP_CONTROLS),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
        doc: "Who owns objects that others upload.",
    },
    Row {
        facet: "encryption",
        query: "encryption",
        roots: &["ServerSideEncryptionConfiguration", "GetBucketEncryptionResponse"],
        absent: &["ServerSideEncryptionConfigurationNotFoundError"],
        document: Document::Xml(documents::ENCRYPTION),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"),
        doc: "How new objects are encrypted.",
    },
    Row {
        facet: "versioning",
        query: "versioning",
        roots: &["VersioningConfiguration", "GetBucketVersioningResponse"],
        absent: &[],
        document: Document::Xml(documents::VERSIONING),
        empty_is_unset: true,
        clear: Clear::Never,
        header: None,
        actions: Actions::new("s3:GetBucketVersioning", "s3:PutBucketVersioning"),
        doc: "Whether overwritten and deleted objects stay as versions.",
    },
    Row {
        facet: "objectLock",
        query: "object-lock",
        roots: &["ObjectLockConfiguration", "GetObjectLockConfigurationResponse"],
        absent: &["ObjectLockConfigurationNotFoundError"],
        document: Document::Xml(documents::OBJECT_LOCK),
        empty_is_unset: true,
        clear: Clear::Never,
        header: None,
        actions: Actions::new(
            "s3:GetBucketObjectLockConfiguration",
            "s3:PutBucketObjectLockConfiguration",
        ),
        doc: "Whether and for how long versions of objects can't be deleted. Irreversible.",
    },
    Row {
        facet: "lifecycle",
        query: "lifecycle",
        roots: &[
            "LifecycleConfiguration",
            "GetBucketLifecycleConfigurationResponse",
        ],
        absent: &["NoSuchLifecycleConfiguration"],
        document: Document::Xml(documents::LIFECYCLE),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: Some(Header {
            name: "x-amz-transition-default-minimum-object-size",
            element: Element::one_of(
                "",
                "transitionDefaultMinimumObjectSize",
                &["all_storage_classes_128K", "varies_by_storage_class"],
                "Below which size objects stay where they are, where a rule doesn't say.",
            ),
        }),
        actions: Actions::new("s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        doc: "What happens to objects as they age.",
    },
    Row {
        facet: "policy",
        query: "policy",
        roots: &[],
        absent: &["NoSuchBucketPolicy"],
        document: Document::Policy,
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions {
            read: "s3:GetBucketPolicy",
            write: "s3:PutBucketPolicy",
            delete: "s3:DeleteBucketPolicy",
        },
        doc: "The bucket's policy, in IAM's JSON.",
    },
    Row {
        facet: "acl",
        query: "acl",
        roots: &["AccessControlPolicy", "GetBucketAclResponse"],
        absent: &[],
        document: Document::Acl(documents::ACL),
        empty_is_unset: false,
        clear: Clear::Never,
        header: None,
        actions: Actions::new("s3:GetBucketAcl", "s3:PutBucketAcl"),
        doc: "The bucket's access list; read only.",
    },
    Row {
        facet: "logging",
        query: "logging",
        roots: &["BucketLoggingStatus", "GetBucketLoggingResponse"],
        absent: &[],
        document: Document::Xml(documents::LOGGING),
        empty_is_unset: true,
        clear: Clear::PutEmpty,
        header: None,
        actions: Actions::new("s3:GetBucketLogging", "s3:PutBucketLogging"),
        doc: "Where requests to the bucket are logged.",
    },
    Row {
        facet: "cors",
        query: "cors",
        roots: &["CORSConfiguration", "GetBucketCorsResponse"],
        absent: &["NoSuchCORSConfiguration"],
        document: Document::Xml(documents::CORS),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetBucketCORS", "s3:PutBucketCORS"),
        doc: "Which web pages of other origins may use the bucket.",
    },
    Row {
        facet: "requestPayment",
        query: "requestPayment",
        roots: &["RequestPaymentConfiguration", "GetBucketRequestPaymentResponse"],
        absent: &[],
        document: Document::Xml(documents::REQUEST_PAYMENT),
        empty_is_unset: true,
        clear: Clear::Never,
        header: None,
        actions: Actions::new("s3:GetBucketRequestPayment", "s3:PutBucketRequestPayment"),
        doc: "Who pays for requests and downloads.",
    },
    Row {
        facet: "accelerate",
        query: "accelerate",
        roots: &[
            "AccelerateConfiguration",
            "GetBucketAccelerateConfigurationResponse",
        ],
        absent: &[],
        document: Document::Xml(documents::ACCELERATE),
        empty_is_unset: true,
        clear: Clear::Never,
        header: None,
        actions: Actions::new("s3:GetAccelerateConfiguration", "s3:PutAccelerateConfiguration"),
        doc: "Whether transfers through edge locations are on.",
    },
    Row {
        facet: "website",
        query: "website",
        roots: &["WebsiteConfiguration", "GetBucketWebsiteResponse"],
        absent: &["NoSuchWebsiteConfiguration"],
        document: Document::Xml(documents::WEBSITE),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions {
            read: "s3:GetBucketWebsite",
            write: "s3:PutBucketWebsite",
            delete: "s3:DeleteBucketWebsite",
        },
        doc: "How the bucket serves a website.",
    },
    Row {
        facet: "replication",
        query: "replication",
        roots: &["ReplicationConfiguration", "GetBucketReplicationResponse"],
        absent: &["ReplicationConfigurationNotFoundError"],
        document: Document::Xml(documents::REPLICATION),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration"),
        doc: "Where new objects are copied to.",
    },
    Row {
        facet: "notification",
        query: "notification",
        roots: &["NotificationConfiguration", "GetBucketNotificationResponse"],
        absent: &[],
        document: Document::Xml(documents::NOTIFICATION),
        empty_is_unset: true,
        clear: Clear::PutEmpty,
        header: None,
        actions: Actions::new("s3:GetBucketNotification", "s3:PutBucketNotification"),
        doc: "Who is told about changes of objects.",
    },
    Row {
        facet: "intelligentTiering",
        query: "intelligent-tiering",
        roots: &[
            "ListBucketIntelligentTieringConfigurationsOutput",
            "ListBucketIntelligentTieringConfigurationsResult",
        ],
        absent: &["NoSuchConfiguration"],
        document: Document::Listed(&documents::INTELLIGENT_TIERING),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new(
            "s3:GetIntelligentTieringConfiguration",
            "s3:PutIntelligentTieringConfiguration",
        ),
        doc: "When objects of the storage class INTELLIGENT_TIERING are archived.",
    },
    Row {
        facet: "metrics",
        query: "metrics",
        roots: &[
            "ListMetricsConfigurationsResult",
            "ListBucketMetricsConfigurationsOutput",
            "ListBucketMetricsConfigurationsResult",
        ],
        absent: &["NoSuchConfiguration"],
        document: Document::Listed(&documents::METRICS),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetMetricsConfiguration", "s3:PutMetricsConfiguration"),
        doc: "Which requests are counted.",
    },
    Row {
        facet: "inventory",
        query: "inventory",
        roots: &[
            "ListInventoryConfigurationsResult",
            "ListBucketInventoryConfigurationsResponse",
            "ListBucketInventoryConfigurationsResult",
        ],
        absent: &["NoSuchConfiguration"],
        document: Document::Listed(&documents::INVENTORY),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetInventoryConfiguration", "s3:PutInventoryConfiguration"),
        doc: "Which lists of the bucket's objects are made.",
    },
    Row {
        facet: "analytics",
        query: "analytics",
        roots: &[
            "ListBucketAnalyticsConfigurationResult",
            "ListBucketAnalyticsConfigurationsOutput",
            "ListBucketAnalyticsConfigurationsResult",
        ],
        absent: &["NoSuchConfiguration"],
        document: Document::Listed(&documents::ANALYTICS),
        empty_is_unset: true,
        clear: Clear::Delete,
        header: None,
        actions: Actions::new("s3:GetAnalyticsConfiguration", "s3:PutAnalyticsConfiguration"),
        doc: "Which objects' use is analysed.",
    },
    Row {
        facet: "accountPublicAccessBlock",
        query: "",
        roots: &["PublicAccessBlockConfiguration", "GetPublicAccessBlockOutput"],
        absent: &["NoSuchPublicAccessBlockConfiguration"],
        document: Document::Account(documents::PUBLIC_ACCESS_BLOCK),
        empty_is_unset: true,
        clear: Clear::Never,
        header: None,
        actions: Actions::new("s3:GetAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
        doc: "What keeps all buckets of the account from becoming public; read only.",
    },
];
