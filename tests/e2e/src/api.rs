use std::{collections::BTreeMap, time::Duration};

use holdfast_testbed::Cluster;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// How often, and with what pause, a request is sent again that the server asks to send again.
const AGAIN: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// The API server as another client than the program sees it, user `admin`.
///
/// What it writes is the field manager `by-hand`'s, unless said otherwise. Whatever the server refuses fails the test.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    url: String,
    manager: String,
}

impl Api {
    /// A client of `cluster` that calls itself `user_agent`.
    ///
    /// # Panics
    /// If the kubeconfig of the cluster isn't what the testbed writes.
    #[must_use]
    pub fn new(cluster: &Cluster, user_agent: &str) -> Self {
        let config = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig can be read");
        let config: Value = serde_json::from_str(&config).expect("the testbed writes JSON");
        let authority = &config["clusters"][0]["cluster"]["certificate-authority-data"];
        let authority = decoded(authority.as_str().expect("it names the authority"));
        let token = config["users"][0]["user"]["token"].as_str().expect("a token");
        let bearer = format!("Bearer {token}")
            .parse()
            .expect("a token is fit for a header");
        let client = Client::builder()
            .no_proxy()
            .user_agent(user_agent)
            .timeout(Duration::from_secs(30))
            .default_headers([(reqwest::header::AUTHORIZATION, bearer)].into_iter().collect())
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&authority).expect("a certificate"))
            .build()
            .expect("a client");
        Self {
            client,
            url: cluster.url().to_owned(),
            manager: "by-hand".to_owned(),
        }
    }

    /// The same hand, known to the server as the field manager `manager`.
    #[must_use]
    pub fn as_manager(&self, manager: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            ..self.clone()
        }
    }

    /// What is at `path`; none where the server says that it isn't there.
    pub async fn get(&self, path: &str) -> Option<Value> {
        match self.send(Method::GET, path, "", None).await {
            (StatusCode::NOT_FOUND, _) => None,
            answer => Some(accepted(&Method::GET, path, answer)),
        }
    }

    /// The objects at `path`, each with its type; none where the server doesn't know theirs.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let Some(list) = self.get(path).await else {
            return Vec::new();
        };
        let kind = list["kind"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches("List")
            .to_owned();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .into_iter()
            .map(|mut item| {
                item["apiVersion"] = list["apiVersion"].clone();
                item["kind"] = json!(kind);
                item
            })
            .collect()
    }

    /// Makes `object` below `path`, unless it is there.
    pub async fn create(&self, path: &str, object: &Value) {
        let path = format!("{path}?fieldManager={}", self.manager);
        match self
            .send(Method::POST, &path, "application/json", Some(object))
            .await
        {
            (StatusCode::CONFLICT, _) => {}
            answer => drop(accepted(&Method::POST, &path, answer)),
        }
    }

    /// Merges `change` (RFC 7386) into what is at `path`.
    pub async fn patch(&self, path: &str, change: &Value) -> Value {
        let path = format!("{path}?fieldManager={}", self.manager);
        let answer = self
            .send(Method::PATCH, &path, "application/merge-patch+json", Some(change))
            .await;
        accepted(&Method::PATCH, &path, answer)
    }

    /// Sends `object` in the place of what is at `path`, as the field manager `manager`; the server's words where it
    /// refuses.
    pub async fn put(&self, path: &str, manager: &str, object: &Value) -> Result<Value, String> {
        let path = format!("{path}?fieldManager={manager}");
        self.answer(Method::PUT, &path, "application/json", object).await
    }

    /// Applies `object` as the field manager `manager`, and takes what others hold.
    ///
    /// # Panics
    /// If the server refuses it.
    pub async fn apply(&self, path: &str, manager: &str, object: &Value) -> Value {
        let path = format!("{path}?fieldManager={manager}&force=true");
        let answer = self
            .answer(Method::PATCH, &path, "application/apply-patch+yaml", object)
            .await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn answer(&self, method: Method, path: &str, content: &str, body: &Value) -> Result<Value, String> {
        let (status, text) = self.send(method.clone(), path, content, Some(body)).await;
        if status.is_success() {
            return Ok(accepted(&method, path, (status, text)));
        }
        Err(format!("{method} {path}: {status}: {text}"))
    }

    /// The types that the server serves now, by `apiVersion` and `kind`.
    ///
    /// # Panics
    /// If it doesn't tell.
    pub async fn served(&self) -> BTreeMap<(String, String), Served> {
        let mut roots = vec!["/api/v1".to_owned()];
        let groups = self.get("/apis").await.expect("groups");
        for group in groups["groups"].as_array().expect("groups") {
            let versions = group["versions"].as_array().expect("versions").iter();
            roots
                .extend(versions.map(|version| {
                    format!("/apis/{}", version["groupVersion"].as_str().unwrap_or_default())
                }));
        }
        let mut served = BTreeMap::new();
        for root in roots {
            // A group whose server is down has none.
            let (status, text) = self.send(Method::GET, &root, "", None).await;
            if !status.is_success() {
                continue;
            }
            let list: Value = serde_json::from_str(&text).expect("JSON");
            let version = list["groupVersion"].as_str().unwrap_or_default();
            for resource in list["resources"].as_array().into_iter().flatten() {
                let text = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
                if text("name").contains('/') {
                    continue;
                }
                let one = Served {
                    root: root.clone(),
                    plural: text("name"),
                    namespaced: resource["namespaced"] == true,
                };
                served.insert((version.to_owned(), text("kind")), one);
            }
        }
        served
    }

    /// Deletes what is at `path`, and returns when it is gone.
    pub async fn delete(&self, path: &str) {
        match self.send(Method::DELETE, path, "", None).await {
            (StatusCode::NOT_FOUND, _) => return,
            answer => drop(accepted(&Method::DELETE, path, answer)),
        }
        crate::until(&format!("{path} is gone"), async || {
            self.get(path).await.is_none()
        })
        .await;
    }

    /// The answer, whatever it is; while a new kind's storage isn't ready the server asks to come again.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> (StatusCode, String) {
        let failed = |error: reqwest::Error| -> (StatusCode, String) { panic!("{method} {path}: {error:?}") };
        for _ in 0..AGAIN {
            let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
            if let Some(body) = body {
                request = request.header("content-type", content).body(body.to_string());
            }
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => return failed(error),
            };
            let status = answer.status();
            if status != StatusCode::TOO_MANY_REQUESTS {
                return match answer.text().await {
                    Ok(text) => (status, text),
                    Err(error) => failed(error),
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{method} {path}: the server asks to come again, and again");
    }
}

fn accepted(method: &Method, path: &str, (status, text): (StatusCode, String)) -> Value {
    assert!(status.is_success(), "{method} {path}: {status}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
}

/// How a type is served.
#[derive(Clone, Debug)]
pub struct Served {
    root: String,
    plural: String,
    /// Whether its objects lie in namespaces.
    pub namespaced: bool,
}

impl Served {
    /// The path of an object; `namespace` counts only where its type has one.
    #[must_use]
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let Self {
            root,
            plural,
            namespaced,
        } = self;
        if *namespaced {
            format!("{root}/namespaces/{namespace}/{plural}/{name}")
        } else {
            format!("{root}/{plural}/{name}")
        }
    }
}

/// The path of an object, or with an empty name of all of its kind; for kinds whose plural is theirs and an s.
#[must_use]
pub fn path(api_version: &str, kind: &str, namespace: &str, name: &str) -> String {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let namespace = if namespace.is_empty() {
        String::new()
    } else {
        format!("/namespaces/{namespace}")
    };
    let kind = kind.to_lowercase();
    let path = format!("/{root}/{api_version}{namespace}/{kind}s/{name}");
    path.trim_end_matches('/').to_owned()
}

/// The path of a whole object.
#[must_use]
pub fn path_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    path(
        &text(&object["apiVersion"]),
        &text(&object["kind"]),
        &text(&metadata["namespace"]),
        &text(&metadata["name"]),
    )
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).expect("base64")
}
