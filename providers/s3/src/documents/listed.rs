//! Settings of which a bucket has many, each under an id and in a document of its own.
//!
//! To a policy they are one list, as the service itself lists them.

use holdfast_contract::ListIdentity::{Keyed, Unordered};

use super::{SWITCH, TAG};
use crate::schema::Content::{Repeated, Struct, Text, Wrapped};
use crate::schema::Element;

pub(crate) const ANALYTICS: Element = Element::new(
    "AnalyticsConfiguration",
    "analyticsConfigurationList",
    Repeated(
        &Struct(&[
            ID,
            Element::group(
                "Filter",
                "filter",
                BY_PREFIX_OR_TAGS,
                "Which objects are looked at; {} is all of them.",
            )
            .whole(),
            Element::group(
                "StorageClassAnalysis",
                "storageClassAnalysis",
                &[Element::group(
                    "DataExport",
                    "dataExport",
                    &[
                        Element::one_of(
                            "OutputSchemaVersion",
                            "outputSchemaVersion",
                            &["V_1"],
                            "The form of what is written.",
                        )
                        .required(),
                        Element::group("Destination", "destination", ANALYTICS_DESTINATION, "Where to.")
                            .required(),
                    ],
                    "Where the daily result is written; without it nowhere.",
                )],
                "What is made of it.",
            )
            .required(),
        ]),
        Keyed(&["id"]),
    ),
    "Which objects' use is analysed, to tell when another storage class would be cheaper.",
);

pub(crate) const INTELLIGENT_TIERING: Element = Element::new(
    "IntelligentTieringConfiguration",
    "intelligentTieringConfigurationList",
    Repeated(
        &Struct(&[
            ID,
            Element::group(
                "Filter",
                "filter",
                BY_PREFIX_OR_TAGS,
                "Which objects it applies to; {} is all of them.",
            )
            .whole(),
            Element::one_of("Status", "status", SWITCH, "Whether it is in force.").required(),
            Element::new(
                "Tiering",
                "tierings",
                Repeated(
                    &Struct(&[
                        Element::integer("Days", "days", "After this many days without access.").required(),
                        Element::one_of(
                            "AccessTier",
                            "accessTier",
                            &["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"],
                            "Where to.",
                        )
                        .required(),
                    ]),
                    Unordered,
                ),
                "When objects that nobody reads are archived.",
            )
            .required(),
        ]),
        Keyed(&["id"]),
    ),
    "When objects of the storage class INTELLIGENT_TIERING are archived.",
);

pub(crate) const INVENTORY: Element = Element::new(
    "InventoryConfiguration",
    "inventoryConfigurationList",
    Repeated(
        &Struct(&[
            Element::group(
                "Destination",
                "destination",
                &[Element::group(
                    "S3BucketDestination",
                    "s3BucketDestination",
                    INVENTORY_DESTINATION,
                    "A bucket.",
                )
                .required()],
                "Where the lists are written.",
            )
            .required(),
            Element::bool("IsEnabled", "isEnabled", "Whether lists are made.").required(),
            Element::group(
                "Filter",
                "filter",
                &[Element::text("Prefix", "prefix", "Names that start so.").required()],
                "Which objects are listed; {} is all of them.",
            )
            .whole(),
            ID,
            Element::one_of(
                "IncludedObjectVersions",
                "includedObjectVersions",
                &["All", "Current"],
                "Which versions are listed.",
            )
            .required(),
            Element::new(
                "OptionalFields",
                "optionalFields",
                // An open list: the service adds to it.
                Wrapped("Field", super::ANY_TEXT, Unordered),
                "What is told of each object beside its name, such as Size.",
            ),
            Element::group(
                "Schedule",
                "schedule",
                &[Element::one_of("Frequency", "frequency", &["Daily", "Weekly"], "How often.").required()],
                "When.",
            )
            .required(),
        ]),
        Keyed(&["id"]),
    ),
    "Which lists of the bucket's objects are made.",
);

pub(crate) const METRICS: Element = Element::new(
    "MetricsConfiguration",
    "metricsConfigurationList",
    Repeated(
        &Struct(&[
            ID,
            Element::group(
                "Filter",
                "filter",
                &[
                    Element::text("Prefix", "prefix", "Names that start so."),
                    Element::group("Tag", "tag", TAG, "Objects with this tag."),
                    ACCESS_POINT,
                    Element::group(
                        "And",
                        "and",
                        &[
                            Element::text("Prefix", "prefix", "Names that start so."),
                            TAGS,
                            ACCESS_POINT,
                        ],
                        "Objects for which all of these hold.",
                    ),
                ],
                "Which requests are counted; {} is all of them.",
            )
            .whole(),
        ]),
        Keyed(&["id"]),
    ),
    "Which requests are counted, for CloudWatch.",
);

const ID: Element = Element::text("Id", "id", "Its name, unique in the bucket.").required();

const TAGS: Element = Element::new(
    "Tag",
    "tags",
    Repeated(&Struct(TAG), Unordered),
    "Objects with all of these tags.",
);

const ACCESS_POINT: Element = Element::text(
    "AccessPointArn",
    "accessPointArn",
    "Requests by this access point.",
);

const BY_PREFIX_OR_TAGS: &[Element] = &[
    Element::text("Prefix", "prefix", "Names that start so."),
    Element::group("Tag", "tag", TAG, "Objects with this tag."),
    Element::group(
        "And",
        "and",
        &[Element::text("Prefix", "prefix", "Names that start so."), TAGS],
        "Objects for which all of these hold.",
    ),
];

const ANALYTICS_DESTINATION: &[Element] = &[Element::group(
    "S3BucketDestination",
    "s3BucketDestination",
    &[
        Element::new("Format", "format", Text(&["CSV"]), "As what.").required(),
        Element::text(
            "BucketAccountId",
            "bucketAccountId",
            "The account that owns the bucket.",
        ),
        Element::text("Bucket", "bucket", "The bucket's ARN.").required(),
        Element::text("Prefix", "prefix", "What the results' names start with."),
    ],
    "A bucket.",
)
.required()];

const INVENTORY_DESTINATION: &[Element] = &[
    Element::text("AccountId", "accountId", "The account that owns the bucket."),
    Element::text("Bucket", "bucket", "The bucket's ARN.").required(),
    Element::one_of("Format", "format", &["CSV", "ORC", "Parquet"], "As what.").required(),
    Element::text("Prefix", "prefix", "What the lists' names start with."),
    Element::group(
        "Encryption",
        "encryption",
        &[
            Element::group("SSE-S3", "sseS3", &[], "With the service's keys."),
            Element::group(
                "SSE-KMS",
                "ssekms",
                &[Element::text("KeyId", "keyId", "The key's ARN.").required()],
                "With a key of KMS.",
            ),
        ],
        "How the lists are encrypted; one of its fields.",
    )
    .whole(),
];
