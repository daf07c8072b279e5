//! For how long new objects can't be deleted.

use crate::schema::Element;

pub(crate) const OBJECT_LOCK: &[Element] = &[
    Element::one_of(
        "ObjectLockEnabled",
        "objectLockEnabled",
        &["Enabled"],
        "That versions of objects can be locked; once enabled it stays so for good.",
    ),
    Element::group(
        "Rule",
        "rule",
        &[Element::group(
            "DefaultRetention",
            "defaultRetention",
            &[
                Element::one_of(
                    "Mode",
                    "mode",
                    &["COMPLIANCE", "GOVERNANCE"],
                    "COMPLIANCE: nobody at all can delete earlier; GOVERNANCE: whoever has s3:BypassGovernanceRetention can.",
                ),
                Element::integer("Days", "days", "For this many days; not with years."),
                Element::integer("Years", "years", "For this many years; not with days."),
            ],
            "For how long a new version is locked whose upload doesn't say.",
        )
        .whole()],
        "What holds for objects whose upload doesn't say.",
    ),
];
