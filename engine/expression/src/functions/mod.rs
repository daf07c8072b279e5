//! The functions of the language.

mod encoding;

pub(crate) use encoding::encode_base64;
