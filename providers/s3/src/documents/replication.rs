//! Where new objects are copied to.

use holdfast_contract::ListIdentity::{Keyed, Unordered};

use super::{SWITCH, TAG};
use crate::schema::Content::{Repeated, Struct};
use crate::schema::Element;

pub(crate) const REPLICATION: &[Element] = &[
    Element::text("Role", "role", "The ARN of the role that the service copies as.").required(),
    Element::new(
        "Rule",
        "rules",
        Repeated(&Struct(RULE), Keyed(&["id"])),
        "Which objects are copied where to; at most 1,000 rules.",
    )
    .required(),
];

const STATUS: &[Element] = &[Element::one_of("Status", "status", SWITCH, "Whether it is on.").required()];

const RULE: &[Element] = &[
    Element::text(
        "ID",
        "id",
        "The rule's name, unique in the bucket, at most 255 characters.",
    )
    .required(),
    Element::integer(
        "Priority",
        "priority",
        "Which of several rules with one destination decides: the highest. Each needs another one.",
    ),
    Element::text(
        "Prefix",
        "prefix",
        "Deprecated by the service: use filter.prefix.",
    ),
    Element::group(
        "Filter",
        "filter",
        &[
            Element::text("Prefix", "prefix", "Names that start so."),
            Element::group("Tag", "tag", TAG, "Objects with this tag."),
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
                ],
                "Objects for which all of these hold.",
            ),
        ],
        "Which objects it applies to; {} is all of them.",
    )
    .whole(),
    Element::one_of("Status", "status", SWITCH, "Whether the rule is in force.").required(),
    Element::group(
        "SourceSelectionCriteria",
        "sourceSelectionCriteria",
        &[
            Element::group(
                "SseKmsEncryptedObjects",
                "sseKmsEncryptedObjects",
                STATUS,
                "Whether objects that are encrypted with keys of KMS are copied too.",
            ),
            Element::group(
                "ReplicaModifications",
                "replicaModifications",
                STATUS,
                "Whether changes of metadata made on copies are copied back.",
            ),
        ],
        "Which further objects are copied.",
    ),
    Element::group(
        "ExistingObjectReplication",
        "existingObjectReplication",
        STATUS,
        "Whether objects that are there already are copied too.",
    ),
    Element::group(
        "Destination",
        "destination",
        DESTINATION,
        "Where to, and as what.",
    )
    .required(),
    Element::group(
        "DeleteMarkerReplication",
        "deleteMarkerReplication",
        &[Element::one_of("Status", "status", SWITCH, "Whether it is on.")],
        "Whether delete markers are copied; not with a filter for tags.",
    ),
];

const DESTINATION: &[Element] = &[
    Element::text("Bucket", "bucket", "The ARN of the bucket that gets the copies.").required(),
    Element::text("Account", "account", "The account that owns that bucket."),
    Element::one_of(
        "StorageClass",
        "storageClass",
        &[
            "DEEP_ARCHIVE",
            "EXPRESS_ONEZONE",
            "FSX_ONTAP",
            "FSX_OPENZFS",
            "GLACIER",
            "GLACIER_IR",
            "INTELLIGENT_TIERING",
            "ONEZONE_IA",
            "OUTPOSTS",
            "REDUCED_REDUNDANCY",
            "SNOW",
            "STANDARD",
            "STANDARD_IA",
        ],
        "The copies' storage class; without one that of the original.",
    ),
    Element::group(
        "AccessControlTranslation",
        "accessControlTranslation",
        &[Element::one_of(
            "Owner",
            "owner",
            &["Destination"],
            "Destination: the copies belong to the account of the bucket that gets them.",
        )
        .required()],
        "Whose the copies are.",
    ),
    Element::group(
        "EncryptionConfiguration",
        "encryptionConfiguration",
        &[Element::text(
            "ReplicaKmsKeyID",
            "replicaKmsKeyID",
            "The ARN or alias of the KMS key, in the region of the bucket that gets the copies.",
        )],
        "How the copies are encrypted.",
    ),
    Element::group(
        "ReplicationTime",
        "replicationTime",
        &[
            Element::one_of("Status", "status", SWITCH, "Whether it is on.").required(),
            Element::group("Time", "time", MINUTES, "Within which time.").required(),
        ],
        "Whether copying is to be done within a time; then metrics are wanted too.",
    ),
    Element::group(
        "Metrics",
        "metrics",
        &[
            Element::one_of("Status", "status", SWITCH, "Whether it is on.").required(),
            Element::group(
                "EventThreshold",
                "eventThreshold",
                MINUTES,
                "After which time an event is sent.",
            ),
        ],
        "Whether copying is measured.",
    ),
];

const MINUTES: &[Element] = &[Element::integer(
    "Minutes",
    "minutes",
    "The service takes 15 only.",
)];
