//! Signing requests: rust-s3's signer for S3, and the same for STS, whose scope that signer doesn't know.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use s3::region::Region;
use s3::signing;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use crate::credentials::Keys;

/// The service that a request is signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Sts,
}

/// Signs requests: for one service in one region, with these keys, at this moment.
pub(crate) struct Signer<'a> {
    pub(crate) service: Service,
    pub(crate) region: &'a str,
    pub(crate) keys: &'a Keys,
    pub(crate) now: OffsetDateTime,
}

impl Signer<'_> {
    /// Adds to `headers` all that makes the request ours: date, body hash, token, signature. Every header that is
    /// there is signed.
    pub(crate) fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), String> {
        let (keys, now) = (self.keys, &self.now);
        let hash = hex(&Sha256::digest(body));
        let date = now
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .map_err(|error| error.to_string())?;
        let mut host = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            let _ = write!(host, ":{port}");
        }
        put(headers, HOST, &host)?;
        put(headers, HeaderName::from_static("x-amz-content-sha256"), &hash)?;
        put(headers, HeaderName::from_static("x-amz-date"), &date)?;
        if let Some(token) = &keys.session_token {
            put(headers, HeaderName::from_static("x-amz-security-token"), token)?;
        }
        // rust-s3 knows some regions by name and takes an unknown name for an endpoint; only the name is used here.
        let region = Region::Custom {
            region: self.region.to_owned(),
            endpoint: String::new(),
        };
        let request =
            signing::canonical_request(method.as_str(), url, headers, &hash).map_err(|e| e.to_string())?;
        let names = signing::signed_header_string(headers);
        let authorization = match self.service {
            Service::S3 => {
                let text = signing::string_to_sign(now, &region, &request).map_err(|e| e.to_string())?;
                let signature = signature(now, keys, &region, "s3", &text)?;
                signing::authorization_header(&keys.access_key, now, &region, &names, &signature)
                    .map_err(|e| e.to_string())?
            }
            Service::Sts => {
                let day: String = date.chars().take(8).collect();
                let scope = format!("{day}/{region}/sts/aws4_request");
                let request = hex(&Sha256::digest(request));
                let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
                let signature = signature(now, keys, &region, "sts", &text)?;
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
                    keys.access_key
                )
            }
        };
        put(headers, AUTHORIZATION, &authorization)
    }
}

fn signature(
    now: &OffsetDateTime,
    keys: &Keys,
    region: &Region,
    service: &str,
    text: &str,
) -> Result<String, String> {
    let key = signing::signing_key(now, &keys.secret_key, region, service).map_err(|e| e.to_string())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|e| e.to_string())?;
    mac.update(text.as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), String> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| format!("{name} can't hold what the credentials hold"))?;
    value.set_sensitive(name == AUTHORIZATION || name.as_str() == "x-amz-security-token");
    headers.insert(name, value);
    Ok(())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn keys() -> Keys {
        Keys {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            expires: None,
        }
    }

    /// The service's own published example: "GET Bucket Lifecycle" of the Signature Version 4 documentation.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let mut headers = HeaderMap::new();
        let signer = Signer {
            service: Service::S3,
            region: "us-east-1",
            keys: &keys(),
            now: datetime!(2013-05-24 00:00 UTC),
        };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/?lifecycle").unwrap();
        signer.sign(&Method::GET, &url, &mut headers, b"").unwrap();
        let authorization = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            authorization
                .ends_with("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            "{authorization}"
        );
    }

    #[test]
    fn what_signs_never_prints() {
        let mut headers = HeaderMap::new();
        let keys = Keys {
            session_token: Some("the-token".to_owned()),
            ..keys()
        };
        let signer = Signer {
            service: Service::Sts,
            region: "us-east-1",
            keys: &keys,
            now: datetime!(2013-05-24 00:00 UTC),
        };
        let url = Url::parse("https://sts.amazonaws.com/").unwrap();
        signer
            .sign(&Method::POST, &url, &mut headers, b"Action=GetCallerIdentity")
            .unwrap();
        let printed = format!("{headers:?} {keys:?}");
        for secret in ["the-token", "AKIAIOSFODNN7EXAMPLE", "wJalr", "Signature="] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
