//! The service's configuration files: sections of keys and values.

use std::collections::BTreeMap;

use crate::credentials::{Keys, Source, WebIdentity};

/// Profiles by name, each with its settings.
pub(crate) type Profiles = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a credentials or a configuration file; in the latter profiles are called `profile NAME`. Lines that are
/// neither a section nor a setting, and indented ones (settings of a setting), are passed over, as the service's own
/// tools do.
pub(crate) fn parse(text: &str) -> Profiles {
    let mut profiles = Profiles::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let name = name.0.trim();
            let name = name.strip_prefix("profile ").unwrap_or(name).trim();
            profiles.entry(name.to_owned()).or_default();
            current = Some(name.to_owned());
            continue;
        }
        if trimmed.starts_with(['#', ';']) || line.starts_with([' ', '\t']) {
            continue;
        }
        if let (Some((key, value)), Some(section)) = (
            trimmed.split_once('='),
            current.as_ref().and_then(|name| profiles.get_mut(name)),
        ) {
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    profiles
}

/// What the profile `name` leads to, or why to nothing. The reason holds no value of the file.
pub(crate) fn source(profiles: &Profiles, name: &str) -> Result<Source, String> {
    let Some(profile) = profiles.get(name) else {
        return Err(format!("there is no profile `{name}`"));
    };
    let get = |key: &str| profile.get(key).filter(|value| !value.is_empty()).cloned();
    if let (Some(access_key), Some(secret_key)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
        return Ok(Source::Fixed(Keys {
            access_key,
            secret_key,
            session_token: get("aws_session_token"),
            expires: None,
        }));
    }
    if let (Some(role), Some(file)) = (get("role_arn"), get("web_identity_token_file")) {
        return Ok(Source::WebIdentity(WebIdentity {
            role,
            token_file: file.into(),
            session: get("role_session_name").unwrap_or_else(|| "holdfast".to_owned()),
        }));
    }
    for unsupported in [
        "credential_process",
        "sso_session",
        "sso_start_url",
        "source_profile",
        "credential_source",
    ] {
        if profile.contains_key(unsupported) {
            return Err(format!(
                "profile `{name}` takes its credentials by {unsupported}, which isn't supported; \
                 export them into the environment instead"
            ));
        }
    }
    Err(format!(
        "profile `{name}` holds neither aws_access_key_id and aws_secret_access_key nor role_arn and web_identity_token_file"
    ))
}
