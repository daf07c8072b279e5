//! What IAM must allow whoever keeps buckets as a policy says.

use holdfast_contract::{Called, Deed, Permission, Permissions, Usage};

use crate::table::{self, Document};
use crate::{lock, names};

/// What `usages` take together. What isn't said of one bucket, but of all or of the account, is on `*`.
pub(crate) fn permissions(usages: &[Usage]) -> Permissions {
    let mut needed = Permissions::new();
    for usage in usages {
        let (bucket, guessed) = resource(usage);
        let mut on = |resource: &str, action: &str| {
            needed.add(Permission::Aws {
                action: action.to_owned(),
                resource: resource.to_owned(),
            });
        };
        // Whether it is there at all; that it has gone, and that it is ours, is shown by the list.
        on("*", "s3:ListAllMyBuckets");
        on(&bucket, "s3:GetBucketLocation");
        if !usage.deeds.contains(&Deed::Find) {
            on(&bucket, "s3:ListBucket");
        }
        for row in usage.read.iter().filter_map(|facet| table::row(facet.as_str())) {
            let place = match row.document {
                Document::Account(_) => "*",
                _ => &bucket,
            };
            on(place, row.actions.read);
        }
        for row in usage
            .written
            .iter()
            .filter_map(|facet| table::row(facet.as_str()))
        {
            // It is read once more before it is written.
            on(&bucket, row.actions.read);
            on(&bucket, row.actions.write);
            if usage.deeds.contains(&Deed::Prune) {
                on(&bucket, row.actions.delete);
            }
        }
        let writes = |facet: &str| usage.written.contains(&facet.into());
        if usage.deeds.contains(&Deed::Create) {
            on(&bucket, "s3:CreateBucket");
            if writes("tags") {
                on(&bucket, "s3:TagResource");
            }
            if writes(lock::FACET) {
                on(&bucket, "s3:PutBucketVersioning");
            }
        }
        if usage.deeds.contains(&Deed::Delete) {
            on(&bucket, "s3:DeleteBucket");
            on(&bucket, "s3:ListBucketVersions");
        }
        if guessed {
            needed.notes.insert(format!(
                "that {bucket} is in the partition `aws` is the usual guess: its region isn't known before the facts are read"
            ));
        }
    }
    needed
}

/// The bucket's ARN, and whether its partition was guessed.
fn resource(usage: &Usage) -> (String, bool) {
    let region = usage.region.as_deref();
    match &usage.name {
        Called::Exactly(name) => (names::arn(name, region), region.is_none()),
        Called::Prefixed(prefix) => (names::arn(&format!("{prefix}*"), region), region.is_none()),
        Called::Anything => ("*".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(usage: Usage) -> Vec<String> {
        permissions(&[usage]).iter().map(ToString::to_string).collect()
    }

    fn bucket(name: Called) -> Usage {
        Usage {
            name,
            region: Some("us-gov-west-1".to_owned()),
            read: ["bucket".into(), "tags".into()].into(),
            ..Usage::default()
        }
    }

    #[test]
    fn a_bucket_that_is_only_looked_at_is_never_written() {
        assert_eq!(
            told(bucket(Called::Exactly("b".to_owned()))),
            [
                "s3:GetBucketLocation on arn:aws-us-gov:s3:::b",
                "s3:GetBucketTagging on arn:aws-us-gov:s3:::b",
                "s3:ListAllMyBuckets on *",
                "s3:ListBucket on arn:aws-us-gov:s3:::b",
            ]
        );
    }

    #[test]
    fn each_facet_is_read_and_written_by_its_own_actions_and_no_others() {
        let mut usage = bucket(Called::Prefixed("b-".to_owned()));
        usage.written = ["policy".into()].into();
        usage.deeds = [Deed::Create].into();
        let told_of = told(usage.clone());
        for action in ["GetBucketPolicy", "PutBucketPolicy", "CreateBucket"] {
            assert!(
                told_of.contains(&format!("s3:{action} on arn:aws-us-gov:s3:::b-*")),
                "{told_of:?}"
            );
        }
        let has = |told: &[String], action: &str| told.iter().any(|one| one.contains(action));
        assert!(!has(&told_of, "Delete") && !has(&told_of, "Lifecycle") && !has(&told_of, "TagResource"));
        usage.deeds.insert(Deed::Prune);
        assert!(has(&told(usage.clone()), "s3:DeleteBucketPolicy"));
        usage.deeds.insert(Deed::Delete);
        assert!(has(&told(usage), "s3:DeleteBucket on"));
    }

    #[test]
    fn a_bucket_that_may_be_any_takes_all_and_the_account_is_asked_as_a_whole() {
        let mut usage = bucket(Called::Anything);
        usage.read.insert("accountPublicAccessBlock".into());
        assert!(told(usage).iter().all(|one| one.ends_with(" on *")));
        let mut usage = bucket(Called::Exactly("b".to_owned()));
        usage.read.insert("accountPublicAccessBlock".into());
        assert!(told(usage).contains(&"s3:GetAccountPublicAccessBlock on *".to_owned()));
    }
}
