//! The block of public access that holds for all buckets of an account. It is another service's, and only read.

use holdfast_contract::{FacetState, ProviderError};
use http::Method;

use crate::call::Call;
use crate::client::Client;
use crate::error::Asked;
use crate::observe;
use crate::table::Row;

/// Reads it.
///
/// # Errors
///
/// [`Unsupported`](ProviderError::Unsupported) where the store has no such thing, or nobody can say whose account it is.
pub(crate) async fn read(client: &Client, row: &Row) -> Result<FacetState, ProviderError> {
    let unsupported = |what: String| ProviderError::Unsupported {
        service: client.service(),
        what,
    };
    let Some(account) = client.account().await? else {
        let what = format!("{}: whose account it is isn't known; set `account`", row.facet);
        return Err(unsupported(what));
    };
    let call = Call::account(Method::GET, &account, row.actions.read);
    let answer = client.send(&call).await?;
    if answer.status.is_success() {
        return observe::document(client, &call, row, &answer);
    }
    let refusal = answer.refusal();
    if row.absent.contains(&refusal.code.as_str()) {
        return Ok(FacetState::Unset);
    }
    // To a store that has no accounts the path is one of an object.
    if refusal.is_no_such_bucket() || refusal.is_unsupported() {
        return Err(unsupported(row.facet.to_owned()));
    }
    let asked = Asked {
        service: &client.service(),
        action: row.actions.read,
        target: &format!("account {account}"),
        key: None,
    };
    Err(asked.error(&refusal))
}
