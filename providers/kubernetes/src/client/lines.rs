//! The events of a watch, as they come.

use std::time::Duration;

use futures::Stream;
use holdfast_contract::ProviderError;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value as Json;
use tokio::time::timeout;

use super::ANSWER_MAX;
use crate::error::lost;

/// A watch that says nothing for this long is dead: the server ends each within 5 minutes.
const SILENCE_MAX: Duration = Duration::from_secs(330);

/// The JSON documents of `body`, one a line.
pub(super) fn lines(body: Body) -> impl Stream<Item = Result<Json, ProviderError>> + Send + use<> {
    futures::stream::unfold(
        (body, Vec::new()),
        |(mut body, mut buffer): (Body, Vec<u8>)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let rest = buffer.split_off(end + 1);
                    let parsed =
                        serde_json::from_slice(&buffer).map_err(|_| lost("an event of a watch is not JSON"));
                    return Some((parsed, (body, rest)));
                }
                if buffer.len() > ANSWER_MAX {
                    return Some((
                        Err(lost("an event of a watch is too long")),
                        (Body::empty(), Vec::new()),
                    ));
                }
                match timeout(SILENCE_MAX, body.frame()).await {
                    Ok(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            buffer.extend_from_slice(&data);
                        }
                    }
                    // How a watch ends makes no difference: it is begun again where it ended.
                    Ok(None | Some(Err(_))) | Err(_) => return None,
                }
            }
        },
    )
}
