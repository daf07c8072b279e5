//! base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes as padded base64 text.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
