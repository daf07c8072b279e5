//! Requests to an object store by hand: what a test sets up, drifts or looks at must not come from the code under
//! test, so this signs (AWS Signature Version 4) on its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use ring::{digest, hmac};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    error::{Error, Result},
    object_store::ObjectStore,
};

impl ObjectStore {
    /// Sends one signed request; returns the status and the body of the answer, whatever the status.
    ///
    /// `path` is a path with a query, percent-encoded as it is to be sent: `/bucket?tagging`.
    ///
    /// # Errors
    /// [`Error::Answer`] if there is no answer, or only a part of one.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        crate::install_tls_provider();
        let request = format!("{method} {}{path}", self.endpoint);
        let failed = |error: reqwest::Error| Error::Answer {
            request: request.clone(),
            answer: chain(&error),
        };
        let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| Error::Answer {
            request: request.clone(),
            answer: error.to_string(),
        })?;
        let mut sending = client
            .request(method.clone(), format!("{}{path}", self.endpoint))
            .body(body.to_owned());
        for (name, value) in self.signed(method.as_str(), path, body, OffsetDateTime::now_utc()) {
            sending = sending.header(name, value);
        }
        if !body.is_empty() {
            sending = sending.header("content-type", "application/xml");
        }
        let answer = sending.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(failed)?))
    }

    /// As [`ObjectStore::send`]; the body of an answer of success.
    ///
    /// # Errors
    /// [`Error::Answer`] for any other status.
    pub async fn done(&self, method: &str, path: &str, body: &str) -> Result<String> {
        match self.send(method, path, body).await? {
            (200..300, answer) => Ok(answer),
            (status, answer) => Err(Error::Answer {
                request: format!("{method} {path}"),
                answer: format!("{status}: {answer}"),
            }),
        }
    }

    /// The headers to send; those that are signed and the signature.
    fn signed(
        &self,
        method: &str,
        path: &str,
        body: &str,
        now: OffsetDateTime,
    ) -> Vec<(&'static str, String)> {
        let body_hash = digest::digest(&digest::SHA256, body.as_bytes());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut pairs: Vec<_> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(with_value)
            .collect();
        pairs.sort();
        let mut headers = vec![
            ("host", self.endpoint.trim_start_matches("http://").to_owned()),
            ("x-amz-content-sha256", hex(body_hash.as_ref())),
            ("x-amz-date", timestamp(now)),
        ];
        if !body.is_empty() {
            // Stands in for Content-MD5, without which AWS refuses some documents.
            headers.insert(1, ("x-amz-checksum-sha256", STANDARD.encode(body_hash)));
        }
        let lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let lines = lines.concat();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!(
            "{method}\n{path}\n{}\n{lines}\n{names}\n{}",
            pairs.join("&"),
            hex(body_hash.as_ref())
        );
        let canonical = digest::digest(&digest::SHA256, canonical.as_bytes());

        let time = timestamp(now);
        let date = time.split('T').next().unwrap_or_default();
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(canonical.as_ref()));
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in [date, &self.region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex(&mac(&key, &to_sign));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
            self.access_key
        );
        headers.push(("authorization", authorization));
        headers
    }
}

fn with_value(pair: &str) -> String {
    if pair.contains('=') {
        pair.to_owned()
    } else {
        format!("{pair}=")
    }
}

fn timestamp(now: OffsetDateTime) -> String {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    // Fails for no component of a date.
    now.format(form).unwrap_or_default()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

/// With its causes: the first says only that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
