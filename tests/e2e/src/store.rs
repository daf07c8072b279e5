use std::collections::BTreeMap;

use holdfast_testbed::ObjectStore;
use serde_json::Value;

/// The object store as another client than the program sees it. Whatever it refuses fails the test.
#[derive(Debug)]
pub struct Store<'s>(pub &'s ObjectStore);

impl Store<'_> {
    /// The names of all buckets.
    ///
    /// # Panics
    /// If they can't be listed.
    pub async fn buckets(&self) -> Vec<String> {
        let list = self.0.done("GET", "/", "").await.unwrap();
        texts(&list, "Name")
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// The names of the buckets whose name begins with `prefix`.
    ///
    /// # Panics
    /// If they can't be listed.
    pub async fn buckets_with(&self, prefix: &str) -> Vec<String> {
        let mut names = self.buckets().await;
        names.retain(|name| name.starts_with(prefix));
        names
    }

    /// A setting of a bucket as the store has it; empty where it has none.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn read(&self, bucket: &str, setting: &str) -> String {
        let (status, body) = self
            .0
            .send("GET", &format!("/{bucket}?{setting}"), "")
            .await
            .unwrap();
        if status == 404 { String::new() } else { body }
    }

    /// Replaces a setting of a bucket.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn write(&self, bucket: &str, setting: &str, document: &str) {
        self.0
            .done("PUT", &format!("/{bucket}?{setting}"), document)
            .await
            .unwrap();
    }

    /// Takes a setting of a bucket away.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn unset(&self, bucket: &str, setting: &str) {
        self.0
            .done("DELETE", &format!("/{bucket}?{setting}"), "")
            .await
            .unwrap();
    }

    /// A bucket's tags.
    pub async fn tags(&self, bucket: &str) -> BTreeMap<String, String> {
        tags_of(&self.read(bucket, "tagging").await)
    }

    /// Replaces a bucket's tags by what `change` makes of them.
    pub async fn retag(&self, bucket: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut tags = self.tags(bucket).await;
        change(&mut tags);
        self.write(bucket, "tagging", &tagging(&tags)).await;
    }

    /// Makes a bucket as a sandbox file describes it.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn create(&self, name: &str, described: &Value) {
        let region = described["region"].as_str().unwrap_or("us-east-1");
        let place = match region {
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        self.0.done("PUT", &format!("/{name}"), &place).await.unwrap();
        if described.get("content").is_some() {
            self.0
                .done("PUT", &format!("/{name}/object"), "held")
                .await
                .unwrap();
        }
        let tags = described["tags"].as_object().into_iter().flatten();
        let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
        self.write(name, "tagging", &tagging(&tags.collect())).await;
    }

    /// The keys of what lies in a bucket, the first thousand of them.
    ///
    /// # Panics
    /// If they can't be listed.
    pub async fn keys(&self, name: &str) -> Vec<String> {
        let objects = self.0.done("GET", &format!("/{name}"), "").await.unwrap();
        texts(&objects, "Key")
    }

    /// Deletes a bucket with all that it holds.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn delete(&self, name: &str) {
        for key in self.keys(name).await {
            self.0
                .done("DELETE", &format!("/{name}/{key}"), "")
                .await
                .unwrap();
        }
        self.0.done("DELETE", &format!("/{name}"), "").await.unwrap();
    }
}

fn tagging(tags: &BTreeMap<String, String>) -> String {
    let tags: Vec<_> = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.concat())
}

/// The tags in a Tagging document.
fn tags_of(document: &str) -> BTreeMap<String, String> {
    texts(document, "Key")
        .into_iter()
        .zip(texts(document, "Value"))
        .collect()
}

/// The texts of all elements of this name. Enough for what the store's own answers look like.
fn texts(document: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let parts = document.split(&open).skip(1);
    parts
        .filter_map(|part| Some(part.split_once(&close)?.0.to_owned()))
        .collect()
}
