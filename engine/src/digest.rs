//! Digests as short texts, and as numbers.

use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hasher};

/// The first `bytes` bytes of `digest`, in hexadecimal.
pub(crate) fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).fold(String::new(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Tells `what` from anything else within this process. What is sensitive doesn't count.
pub(crate) fn fingerprint(what: &impl Debug) -> u64 {
    struct Feed(DefaultHasher);
    impl Write for Feed {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut feed = Feed(DefaultHasher::new());
    // Writing to it can't fail.
    let _ = write!(feed, "{what:?}");
    feed.0.finish()
}
