//! The service's documents, element by element, in the service's own order.
//!
//! Source: the Amazon S3 API reference, data types; names, order and flattening are those of the service's Smithy model.

use holdfast_contract::ListIdentity::{Atomic, Keyed, Set, Unordered};

use crate::schema::Content::{Attribute, Repeated, Struct, Text, Wrapped};
use crate::schema::Element;

mod lifecycle;
mod listed;
mod notification;
mod object_lock;
mod replication;

pub(crate) use lifecycle::LIFECYCLE;
pub(crate) use listed::{ANALYTICS, INTELLIGENT_TIERING, INVENTORY, METRICS};
pub(crate) use notification::NOTIFICATION;
pub(crate) use object_lock::OBJECT_LOCK;
pub(crate) use replication::REPLICATION;

const SWITCH: &[&str] = &["Enabled", "Disabled"];
const ANY_TEXT: &crate::schema::Content = &Text(&[]);

const TAG: &[Element] = &[
    Element::text("Key", "key", "The tag's key.").required(),
    Element::text("Value", "value", "The tag's value.").required(),
];

pub(crate) const ENCRYPTION: &[Element] = &[Element::new(
    "Rule",
    "rules",
    Repeated(&Struct(ENCRYPTION_RULE), Atomic),
    "How new objects are encrypted; the service takes exactly one rule.",
)
.required()];

const ENCRYPTION_RULE: &[Element] = &[
    Element::group(
        "ApplyServerSideEncryptionByDefault",
        "applyServerSideEncryptionByDefault",
        &[
            Element::one_of(
                "SSEAlgorithm",
                "sseAlgorithm",
                &["AES256", "aws:fsx", "aws:kms", "aws:kms:dsse"],
                "AES256 with the service's keys, aws:kms with keys of KMS, aws:kms:dsse twice with keys of KMS; aws:fsx is of file systems.",
            )
            .required(),
            Element::text(
                "KMSMasterKeyID",
                "kmsMasterKeyID",
                "The KMS key's ARN, id or alias; without one the account's own aws/s3 key.",
            ),
        ],
        "What encrypts an object whose upload doesn't say.",
    ),
    Element::bool(
        "BucketKeyEnabled",
        "bucketKeyEnabled",
        "Whether one key for the bucket spares calls to KMS; not with aws:kms:dsse.",
    ),
    Element::group(
        "BlockedEncryptionTypes",
        "blockedEncryptionTypes",
        &[Element::new(
            "EncryptionType",
            "encryptionType",
            Repeated(&Text(&["NONE", "SSE-C"]), Unordered),
            "SSE-C refuses uploads with keys of the client's own; NONE refuses nothing.",
        )],
        "Kinds of encryption that uploads may not ask for.",
    ),
];

pub(crate) const PUBLIC_ACCESS_BLOCK: &[Element] = &[
    Element::bool(
        "BlockPublicAcls",
        "blockPublicAcls",
        "Refuse new access lists that are public.",
    ),
    Element::bool(
        "IgnorePublicAcls",
        "ignorePublicAcls",
        "Give no access by public access lists.",
    ),
    Element::bool(
        "BlockPublicPolicy",
        "blockPublicPolicy",
        "Refuse bucket policies that are public.",
    ),
    Element::bool(
        "RestrictPublicBuckets",
        "restrictPublicBuckets",
        "Under a public policy let in the own account and services only.",
    ),
];

pub(crate) const OWNERSHIP_CONTROLS: &[Element] = &[Element::new(
    "Rule",
    "rules",
    Repeated(
        &Struct(&[Element::one_of(
            "ObjectOwnership",
            "objectOwnership",
            &["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"],
            "BucketOwnerEnforced: the bucket's owner owns all objects, and access lists mean nothing.",
        )
        .required()]),
        Atomic,
    ),
    "Who owns new objects; the service takes exactly one rule.",
)
.required()];

pub(crate) const VERSIONING: &[Element] = &[
    Element::one_of(
        "MfaDelete",
        "mfaDelete",
        SWITCH,
        "Whether deleting a version needs a second factor; only the account's root user can change it.",
    ),
    Element::one_of(
        "Status",
        "status",
        &["Enabled", "Suspended"],
        "Whether overwritten and deleted objects stay as versions; once enabled it can only be suspended.",
    ),
];

pub(crate) const LOGGING: &[Element] = &[Element::group(
    "LoggingEnabled",
    "loggingEnabled",
    &[
        Element::text(
            "TargetBucket",
            "targetBucket",
            "The bucket that gets the logs, in the same region and account.",
        )
        .required(),
        Element::new(
            "TargetGrants",
            "targetGrants",
            Wrapped("Grant", &Struct(GRANT), Unordered),
            "Who may read the logs; not with BucketOwnerEnforced.",
        ),
        Element::text("TargetPrefix", "targetPrefix", "What the logs' names start with.").required(),
        Element::group(
            "TargetObjectKeyFormat",
            "targetObjectKeyFormat",
            &[
                Element::group("SimplePrefix", "simplePrefix", &[], "The prefix, then the time."),
                Element::group(
                    "PartitionedPrefix",
                    "partitionedPrefix",
                    &[Element::one_of(
                        "PartitionDateSource",
                        "partitionDateSource",
                        &["DeliveryTime", "EventTime"],
                        "Whose time.",
                    )],
                    "The prefix, then account, region, bucket and date as folders.",
                ),
            ],
            "How the logs' names are made.",
        ),
    ],
    "Where requests to the bucket are logged; without it they aren't.",
)];

const GRANT: &[Element] = &[
    Element::group("Grantee", "grantee", GRANTEE, "To whom."),
    Element::text(
        "Permission",
        "permission",
        "What: READ, WRITE, READ_ACP, WRITE_ACP, FULL_CONTROL.",
    ),
];

const GRANTEE: &[Element] = &[
    Element::text("DisplayName", "displayName", "The user's name for display."),
    Element::text("EmailAddress", "emailAddress", "The user's address."),
    Element::text("ID", "id", "The user's canonical id."),
    Element::new(
        "xsi:type",
        "type",
        Attribute,
        "CanonicalUser, Group or AmazonCustomerByEmail.",
    ),
    Element::text("URI", "uri", "The group's URI."),
];

pub(crate) const ACL: &[Element] = &[
    Element::group(
        "Owner",
        "owner",
        &[
            Element::text("DisplayName", "displayName", "The owner's name for display."),
            Element::text("ID", "id", "The owner's canonical id."),
        ],
        "Whose the bucket is.",
    ),
    Element::new(
        "AccessControlList",
        "grants",
        Wrapped("Grant", &Struct(GRANT), Unordered),
        "What is granted to whom.",
    ),
];

pub(crate) const CORS: &[Element] = &[Element::new(
    "CORSRule",
    "corsRules",
    Repeated(
        &Struct(&[
            Element::text("ID", "id", "The rule's name, unique in the bucket.").required(),
            Element::new(
                "AllowedHeader",
                "allowedHeaders",
                Repeated(ANY_TEXT, Set),
                "Headers that a preflight request may ask for.",
            ),
            Element::new(
                "AllowedMethod",
                "allowedMethods",
                Repeated(&Text(&["DELETE", "GET", "HEAD", "POST", "PUT"]), Set),
                "Methods that are allowed.",
            )
            .required(),
            Element::new(
                "AllowedOrigin",
                "allowedOrigins",
                Repeated(ANY_TEXT, Set),
                "Origins that are allowed.",
            )
            .required(),
            Element::new(
                "ExposeHeader",
                "exposeHeaders",
                Repeated(ANY_TEXT, Set),
                "Headers of the answer that scripts may read.",
            ),
            Element::integer(
                "MaxAgeSeconds",
                "maxAgeSeconds",
                "How long a browser keeps the answer.",
            ),
        ]),
        Keyed(&["id"]),
    ),
    "Which web pages of other origins may use the bucket.",
)
.required()];

pub(crate) const REQUEST_PAYMENT: &[Element] = &[Element::one_of(
    "Payer",
    "payer",
    &["BucketOwner", "Requester"],
    "Who pays for requests and downloads.",
)
.required()];

pub(crate) const ACCELERATE: &[Element] = &[Element::one_of(
    "Status",
    "status",
    &["Enabled", "Suspended"],
    "Whether transfers through edge locations are on.",
)];

pub(crate) const WEBSITE: &[Element] = &[
    Element::group(
        "ErrorDocument",
        "errorDocument",
        &[Element::text("Key", "key", "The object's name.").required()],
        "What is shown for errors.",
    ),
    Element::group(
        "IndexDocument",
        "indexDocument",
        &[Element::text("Suffix", "suffix", "Added to a request for a folder.").required()],
        "What is shown for folders.",
    ),
    Element::group(
        "RedirectAllRequestsTo",
        "redirectAllRequestsTo",
        &[
            Element::text("HostName", "hostName", "Where to.").required(),
            Element::one_of("Protocol", "protocol", &["http", "https"], "How."),
        ],
        "Sends every request elsewhere; then nothing else may be set.",
    ),
    Element::new(
        "RoutingRules",
        "routingRules",
        Wrapped("RoutingRule", &Struct(ROUTING_RULE), Atomic),
        "Redirects, in order; the first that fits is taken.",
    ),
];

const ROUTING_RULE: &[Element] = &[
    Element::group(
        "Condition",
        "condition",
        &[
            Element::text(
                "HttpErrorCodeReturnedEquals",
                "httpErrorCodeReturnedEquals",
                "For this error.",
            ),
            Element::text("KeyPrefixEquals", "keyPrefixEquals", "For names that start so."),
        ],
        "When it applies.",
    ),
    Element::group(
        "Redirect",
        "redirect",
        &[
            Element::text("HostName", "hostName", "To this host."),
            Element::text("HttpRedirectCode", "httpRedirectCode", "With this status."),
            Element::one_of("Protocol", "protocol", &["http", "https"], "By this protocol."),
            Element::text(
                "ReplaceKeyPrefixWith",
                "replaceKeyPrefixWith",
                "With this prefix instead.",
            ),
            Element::text("ReplaceKeyWith", "replaceKeyWith", "With this name instead."),
        ],
        "Where to.",
    )
    .required(),
];
