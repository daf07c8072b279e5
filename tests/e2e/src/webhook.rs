use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use holdfast_testbed::Cluster;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};

/// What a webhook says of a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is admitted, with this JSON patch.
    Patch(Value),
    /// It is refused, in these words.
    Refuse(&'static str),
}

/// An admission webhook on loopback, as the API server calls them: for as long as the test's process lives.
///
/// It answers under the API server's own certificate, which is for the same address.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    authority: String,
}

impl Webhook {
    /// Listens, and answers each `request` of an `AdmissionReview` as `judge` says.
    ///
    /// # Panics
    /// If it can't listen, or the API server has no certificate.
    #[must_use]
    pub fn start(cluster: &Cluster, judge: impl Fn(&Value) -> Verdict + Send + Sync + 'static) -> Self {
        holdfast_testbed::install_tls_provider();
        let file =
            |name: &str| std::fs::read(cluster.home().path().join(name)).expect("the API server has it");
        let certificate = file("apiserver.crt");
        let chain = CertificateDer::pem_slice_iter(&certificate)
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(&file("apiserver.key")).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let (config, judge) = (Arc::new(config), Arc::new(judge));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        drop(std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (config, judge) = (Arc::clone(&config), Arc::clone(&judge));
                // A client that goes away in between has its own reasons.
                drop(std::thread::spawn(move || {
                    serve(connection, config, judge.as_ref())
                }));
            }
        }));
        Self {
            url,
            authority: STANDARD.encode(certificate),
        }
    }

    /// The configuration by which the API server asks it about the objects of `namespace` of the types `resources`,
    /// each with its group: `("apps", "deployments")`.
    #[must_use]
    pub fn configuration(&self, namespace: &str, resources: &[(&str, &str)]) -> Value {
        let rules: Vec<Value> = resources
            .iter()
            .map(|(group, resource)| {
                json!({
                    "apiGroups": [group], "apiVersions": ["*"], "resources": [resource], "operations": ["CREATE", "UPDATE"],
                })
            })
            .collect();
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": namespace },
            "webhooks": [{
                "name": "webhook.holdfast.test",
                "clientConfig": { "url": self.url, "caBundle": self.authority },
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
                "rules": rules,
            }],
        })
    }
}

/// One request after another.
fn serve(
    connection: TcpStream,
    config: Arc<ServerConfig>,
    judge: &dyn Fn(&Value) -> Verdict,
) -> std::io::Result<()> {
    let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, connection));
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let review: Value = serde_json::from_slice(&body)?;
        let request = &review["request"];
        let mut response = json!({ "uid": request["uid"], "allowed": true });
        match judge(request) {
            Verdict::Patch(patch) => {
                response["patchType"] = json!("JSONPatch");
                response["patch"] = json!(STANDARD.encode(patch.to_string()));
            }
            Verdict::Refuse(words) => {
                response["allowed"] = json!(false);
                response["status"] = json!({ "message": words });
            }
        }
        let answer =
            json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
                .to_string();
        write!(
            stream.get_mut(),
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
        stream.get_mut().flush()?;
    }
}
