//! Digests as short texts.

use std::fmt::Write as _;

use holdfast_contract::Value;
use sha2::{Digest, Sha256};

/// The first `bytes` bytes of `digest`, in hexadecimal.
pub(crate) fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What tells one declared document from another, secrets by their placeholder only.
pub(crate) fn of(value: &Value) -> String {
    hex(&Sha256::digest(value.to_string().as_bytes()), 16)
}
