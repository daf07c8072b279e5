//! Keys, tokens and kubeconfigs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;

use crate::error::{Error, Result};

/// What comes before the point in a P-256 public key's `SubjectPublicKeyInfo` (RFC 5480): the two object identifiers
/// `ecPublicKey` and `prime256v1`, and the header of the bit string.
const P256_PUBLIC_KEY_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A new private and public key, in PEM, for the tokens of service accounts.
pub(super) fn service_account_keys() -> Result<(String, String)> {
    let failed = |_| Error::io("make a key")(std::io::Error::other("ring refused"));
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref(), &random)
        .map_err(|rejected| Error::io("make a key")(std::io::Error::other(rejected.to_string())))?;
    let public = [&P256_PUBLIC_KEY_PREFIX, pair.public_key().as_ref()].concat();
    Ok((pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", &public)))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// The static token file: token, user, uid, groups. A user's token is its name.
pub(super) fn tokens(own: &str, powerless: &[&str]) -> String {
    let administrators = [own, "admin", "controllers", "kwok"];
    let administrators = administrators
        .iter()
        .map(|user| format!("{user},{user},{user},system:masters\n"));
    administrators
        .chain(powerless.iter().map(|user| format!("{user},{user},{user}\n")))
        .collect()
}

/// As JSON, which is YAML.
pub(super) fn kubeconfig(url: &str, certificate: &[u8], user: &str, token: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "contexts": [{ "name": "testbed", "context": { "cluster": "testbed", "user": user } }],
        "clusters": [{
            "name": "testbed",
            "cluster": { "server": url, "certificate-authority-data": STANDARD.encode(certificate) },
        }],
        "users": [{ "name": user, "user": { "token": token } }],
    })
    .to_string()
}
