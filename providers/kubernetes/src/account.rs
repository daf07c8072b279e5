//! Service accounts, as the server names them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_contract::{ApiType, ResourceKey, ServiceAccount};
use serde_json::Value as Json;

/// What the user name of a service account begins with.
const USER: &str = "system:serviceaccount:";

/// As the server names `account` among users.
pub(crate) fn user(account: &ServiceAccount) -> String {
    format!("{USER}{}:{}", account.namespace(), account.name())
}

/// The service account that `token` is of, as the token itself says; nothing of it was checked.
pub(crate) fn of_token(token: &str) -> Option<ServiceAccount> {
    let claims = token.trim().split('.').nth(1)?;
    let claims: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let (namespace, name) = claims.get("sub")?.as_str()?.strip_prefix(USER)?.split_once(':')?;
    ServiceAccount::new(namespace, name).ok()
}

/// `account`, as a resource of the cluster.
pub(crate) fn key(account: &ServiceAccount) -> ResourceKey {
    ResourceKey {
        provider: "kubernetes".into(),
        kind: crate::kind::NAME.into(),
        api: Some(ApiType::new("v1", "ServiceAccount")),
        namespace: Some(account.namespace().to_owned()),
        name: account.name().to_owned(),
        region: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_one_of_the_users() {
        let account = "team-a/backup.v2".parse().unwrap();
        assert_eq!(user(&account), "system:serviceaccount:team-a:backup.v2");
    }

    #[test]
    fn a_token_says_whose_it_is_and_anything_else_says_nothing() {
        let token = |claims: &str| format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(claims));
        let account = of_token(&token(
            r#"{"sub":"system:serviceaccount:holdfast-system:engine"}"#,
        ));
        assert_eq!(account.unwrap().to_string(), "holdfast-system/engine");
        for other in ["", "alice", "a.b.c", &token(r#"{"sub":"alice"}"#), &token("[]")] {
            assert_eq!(of_token(other), None, "{other}");
        }
    }
}
