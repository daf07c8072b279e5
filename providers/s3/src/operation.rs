//! What the service calls each request, for counting them.

use crate::call::Call;

/// What isn't among them; no request that is sent today.
const OTHER: &str = "Other";

/// Sub-resource, and what reading, writing and deleting it are called; what is called nothing isn't done.
const OPERATIONS: &[(&str, [&str; 3])] = &[
    (
        "accelerate",
        [
            "GetBucketAccelerateConfiguration",
            "PutBucketAccelerateConfiguration",
            OTHER,
        ],
    ),
    ("acl", ["GetBucketAcl", OTHER, OTHER]),
    (
        "analytics",
        [
            "GetBucketAnalyticsConfiguration",
            "PutBucketAnalyticsConfiguration",
            "DeleteBucketAnalyticsConfiguration",
        ],
    ),
    ("cors", ["GetBucketCors", "PutBucketCors", "DeleteBucketCors"]),
    (
        "encryption",
        [
            "GetBucketEncryption",
            "PutBucketEncryption",
            "DeleteBucketEncryption",
        ],
    ),
    (
        "intelligent-tiering",
        [
            "GetBucketIntelligentTieringConfiguration",
            "PutBucketIntelligentTieringConfiguration",
            "DeleteBucketIntelligentTieringConfiguration",
        ],
    ),
    (
        "inventory",
        [
            "GetBucketInventoryConfiguration",
            "PutBucketInventoryConfiguration",
            "DeleteBucketInventoryConfiguration",
        ],
    ),
    (
        "lifecycle",
        [
            "GetBucketLifecycleConfiguration",
            "PutBucketLifecycleConfiguration",
            "DeleteBucketLifecycle",
        ],
    ),
    ("list-type", ["ListObjectsV2", OTHER, OTHER]),
    ("location", ["GetBucketLocation", OTHER, OTHER]),
    ("logging", ["GetBucketLogging", "PutBucketLogging", OTHER]),
    (
        "metrics",
        [
            "GetBucketMetricsConfiguration",
            "PutBucketMetricsConfiguration",
            "DeleteBucketMetricsConfiguration",
        ],
    ),
    (
        "notification",
        [
            "GetBucketNotificationConfiguration",
            "PutBucketNotificationConfiguration",
            OTHER,
        ],
    ),
    (
        "object-lock",
        ["GetObjectLockConfiguration", "PutObjectLockConfiguration", OTHER],
    ),
    (
        "ownershipControls",
        [
            "GetBucketOwnershipControls",
            "PutBucketOwnershipControls",
            "DeleteBucketOwnershipControls",
        ],
    ),
    (
        "policy",
        ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"],
    ),
    (
        "publicAccessBlock",
        [
            "GetPublicAccessBlock",
            "PutPublicAccessBlock",
            "DeletePublicAccessBlock",
        ],
    ),
    (
        "replication",
        [
            "GetBucketReplication",
            "PutBucketReplication",
            "DeleteBucketReplication",
        ],
    ),
    (
        "requestPayment",
        ["GetBucketRequestPayment", "PutBucketRequestPayment", OTHER],
    ),
    (
        "tagging",
        ["GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"],
    ),
    (
        "versioning",
        ["GetBucketVersioning", "PutBucketVersioning", OTHER],
    ),
    ("versions", ["ListObjectVersions", OTHER, OTHER]),
    (
        "website",
        ["GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"],
    ),
];

/// What reading all documents of a setting is called that has many.
const LISTS: &[(&str, &str)] = &[
    ("analytics", "ListBucketAnalyticsConfigurations"),
    (
        "intelligent-tiering",
        "ListBucketIntelligentTieringConfigurations",
    ),
    ("inventory", "ListBucketInventoryConfigurations"),
    ("metrics", "ListBucketMetricsConfigurations"),
];

/// What the service calls `call`: one of a closed list.
pub(crate) fn operation(call: &Call<'_>) -> &'static str {
    let method = call.method.as_str();
    if call.account.is_some() {
        // The only thing of an account that is asked for.
        return "GetPublicAccessBlock";
    }
    if call.bucket.is_none() {
        return "ListBuckets";
    }
    let Some((resource, _)) = call.query.first() else {
        return match method {
            "HEAD" => "HeadBucket",
            "PUT" => "CreateBucket",
            "DELETE" => "DeleteBucket",
            _ => OTHER,
        };
    };
    let is_of_one = call.query.iter().any(|(name, _)| *name == "id");
    if method == "GET"
        && !is_of_one
        && let Some((_, list)) = LISTS.iter().find(|(name, _)| name == resource)
    {
        return list;
    }
    let named = OPERATIONS.iter().find(|(name, _)| name == resource);
    named.map_or(OTHER, |(_, [read, write, delete])| match method {
        "GET" => read,
        "PUT" => write,
        "DELETE" => delete,
        _ => OTHER,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{self, Clear, Document};
    use holdfast_contract::ResourceKey;
    use http::Method;
    use serde_json::Value as Json;

    fn key() -> ResourceKey {
        ResourceKey {
            provider: "s3".into(),
            kind: "s3/Bucket".into(),
            api: None,
            namespace: None,
            name: "b".to_owned(),
            region: None,
        }
    }

    /// All requests that the table makes possible, and those about the bucket itself.
    fn calls(key: &ResourceKey) -> Vec<Call<'_>> {
        let (get, put, delete) = (Method::GET, Method::PUT, Method::DELETE);
        let mut calls = vec![
            Call::bucket(Method::HEAD, key, ""),
            Call::bucket(put.clone(), key, ""),
            Call::bucket(delete.clone(), key, ""),
        ];
        for query in ["location", "list-type", "versions"] {
            calls.push(Call::sub_resource(get.clone(), key, query, ""));
        }
        for row in table::ROWS.iter().filter(|row| !row.query.is_empty()) {
            let call = |method: &Method| Call::sub_resource(method.clone(), key, row.query, "");
            calls.push(call(&get));
            let mut writes = Vec::new();
            if row.writable() {
                writes.push(call(&put));
                if row.clear == Clear::Delete {
                    writes.push(call(&delete));
                }
            }
            if matches!(row.document, Document::Listed(_)) {
                writes.push(call(&get));
                for write in &mut writes {
                    write.query.push(("id", "x".to_owned()));
                }
            }
            calls.extend(writes);
        }
        calls
    }

    #[test]
    fn every_request_is_counted_under_the_services_own_name() {
        let model = holdfast_testbed::fixtures::s3_model().unwrap();
        let key = key();
        for call in calls(&key) {
            let name = operation(&call);
            let http = &model["operations"][name]["http"];
            let uri = http["requestUri"].as_str().unwrap_or_default();
            let resource = call.query.first().map_or("", |(resource, _)| resource);
            let theirs = uri.split_once('?').map_or("", |(_, query)| query);
            let theirs = theirs.split(['=', '&']).next().unwrap_or_default();
            assert_eq!(
                (&http["method"], theirs),
                (&Json::from(call.method.as_str()), resource),
                "{name}"
            );
        }
        let all = Call {
            bucket: None,
            ..Call::bucket(Method::GET, &key, "")
        };
        assert_eq!(operation(&all), "ListBuckets");
        let account = Call::account(Method::GET, "111122223333", "");
        assert_eq!(operation(&account), "GetPublicAccessBlock");
    }
}
