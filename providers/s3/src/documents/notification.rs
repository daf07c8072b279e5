//! Who is told about changes of objects.

use holdfast_contract::ListIdentity::{Keyed, Unordered};

use super::ANY_TEXT;
use crate::schema::Content::{Repeated, Struct};
use crate::schema::Element;

pub(crate) const NOTIFICATION: &[Element] = &[
    Element::new(
        "TopicConfiguration",
        "topicConfigurations",
        Repeated(
            &Struct(&[
                ID,
                Element::text("Topic", "topicArn", "The topic's ARN.").required(),
                EVENTS,
                FILTER,
            ]),
            Keyed(&["id"]),
        ),
        "What is sent to topics of SNS.",
    ),
    Element::new(
        "QueueConfiguration",
        "queueConfigurations",
        Repeated(
            &Struct(&[
                ID,
                Element::text("Queue", "queueArn", "The queue's ARN.").required(),
                EVENTS,
                FILTER,
            ]),
            Keyed(&["id"]),
        ),
        "What is sent to queues of SQS.",
    ),
    Element::new(
        "CloudFunctionConfiguration",
        "lambdaFunctionConfigurations",
        Repeated(
            &Struct(&[
                ID,
                Element::text("CloudFunction", "lambdaFunctionArn", "The function's ARN.").required(),
                EVENTS,
                FILTER,
            ]),
            Keyed(&["id"]),
        ),
        "Which functions of Lambda are called.",
    ),
    Element::group(
        "EventBridgeConfiguration",
        "eventBridgeConfiguration",
        &[],
        "Where it is there, everything is sent to EventBridge.",
    ),
];

const ID: Element = Element::text("Id", "id", "Its name, unique in the bucket.").required();

const EVENTS: Element = Element::new(
    "Event",
    "events",
    // An open list: the service adds to it.
    Repeated(ANY_TEXT, Unordered),
    "What it is told about, such as s3:ObjectCreated:*.",
)
.required();

const FILTER: Element = Element::group(
    "Filter",
    "filter",
    &[Element::group(
        "S3Key",
        "key",
        &[Element::new(
            "FilterRule",
            "filterRules",
            Repeated(
                &Struct(&[
                    Element::one_of("Name", "name", &["prefix", "suffix"], "Which end of the name."),
                    Element::text("Value", "value", "What stands there."),
                ]),
                Unordered,
            ),
            "At most one for each end.",
        )],
        "By name.",
    )],
    "Which objects it is about; without it all.",
)
.whole();
