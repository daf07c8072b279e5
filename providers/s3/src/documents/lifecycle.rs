//! What happens to objects as they age.

use holdfast_contract::ListIdentity::{Keyed, Unordered};

use super::{SWITCH, TAG};
use crate::schema::Content::{Date, Repeated, Struct};
use crate::schema::Element;

const STORAGE_CLASS: Element = Element::one_of(
    "StorageClass",
    "storageClass",
    &[
        "DEEP_ARCHIVE",
        "GLACIER",
        "GLACIER_IR",
        "INTELLIGENT_TIERING",
        "ONEZONE_IA",
        "STANDARD_IA",
    ],
    "Where to.",
);

pub(crate) const LIFECYCLE: &[Element] = &[Element::new(
    "Rule",
    "rules",
    Repeated(&Struct(LIFECYCLE_RULE), Keyed(&["id"])),
    "What happens to which objects as they age; at most 1,000 rules.",
)
.required()];

const LIFECYCLE_RULE: &[Element] = &[
    Element::group(
        "Expiration",
        "expiration",
        &[
            Element::new("Date", "date", Date, "Expire on this day, at midnight UTC."),
            Element::integer("Days", "days", "Expire this many days after creation."),
            Element::bool(
                "ExpiredObjectDeleteMarker",
                "expiredObjectDeleteMarker",
                "Remove delete markers under which no version is left.",
            ),
        ],
        "When current objects expire; exactly one of its fields.",
    )
    .whole(),
    Element::text(
        "ID",
        "id",
        "The rule's name, unique in the bucket, at most 255 characters.",
    )
    .required(),
    Element::text(
        "Prefix",
        "prefix",
        "Deprecated by the service: use filter.prefix.",
    ),
    Element::group(
        "Filter",
        "filter",
        LIFECYCLE_FILTER,
        "Which objects it applies to; {} is all of them.",
    )
    .whole(),
    Element::one_of("Status", "status", SWITCH, "Whether the rule is in force.").required(),
    Element::new(
        "Transition",
        "transitions",
        Repeated(
            &Struct(&[
                Element::new("Date", "date", Date, "Move on this day, at midnight UTC."),
                Element::integer("Days", "days", "Move this many days after creation."),
                STORAGE_CLASS,
            ]),
            Unordered,
        ),
        "When current objects move to another storage class.",
    ),
    Element::new(
        "NoncurrentVersionTransition",
        "noncurrentVersionTransitions",
        Repeated(
            &Struct(&[
                Element::integer(
                    "NoncurrentDays",
                    "noncurrentDays",
                    "Move this many days after a newer version came.",
                ),
                STORAGE_CLASS,
                Element::integer(
                    "NewerNoncurrentVersions",
                    "newerNoncurrentVersions",
                    "Keep this many versions where they are, whatever their age.",
                ),
            ]),
            Unordered,
        ),
        "When old versions move to another storage class.",
    ),
    Element::group(
        "NoncurrentVersionExpiration",
        "noncurrentVersionExpiration",
        &[
            Element::integer(
                "NoncurrentDays",
                "noncurrentDays",
                "Expire this many days after a newer version came.",
            ),
            Element::integer(
                "NewerNoncurrentVersions",
                "newerNoncurrentVersions",
                "Keep this many old versions, whatever their age.",
            ),
        ],
        "When old versions expire.",
    ),
    Element::group(
        "AbortIncompleteMultipartUpload",
        "abortIncompleteMultipartUpload",
        &[Element::integer(
            "DaysAfterInitiation",
            "daysAfterInitiation",
            "Days after the upload began.",
        )],
        "When uploads that never ended are thrown away.",
    ),
];

const LIFECYCLE_FILTER: &[Element] = &[
    Element::text("Prefix", "prefix", "Names that start so."),
    Element::group("Tag", "tag", TAG, "Objects with this tag."),
    Element::integer(
        "ObjectSizeGreaterThan",
        "objectSizeGreaterThan",
        "Larger than this, in bytes.",
    ),
    Element::integer(
        "ObjectSizeLessThan",
        "objectSizeLessThan",
        "Smaller than this, in bytes.",
    ),
    Element::group(
        "And",
        "and",
        &[
            Element::text("Prefix", "prefix", "Names that start so."),
            Element::new(
                "Tag",
                "tags",
                Repeated(&Struct(TAG), Unordered),
                "Objects with all of these tags.",
            ),
            Element::integer(
                "ObjectSizeGreaterThan",
                "objectSizeGreaterThan",
                "Larger than this, in bytes.",
            ),
            Element::integer(
                "ObjectSizeLessThan",
                "objectSizeLessThan",
                "Smaller than this, in bytes.",
            ),
        ],
        "Objects for which all of these hold.",
    ),
];
