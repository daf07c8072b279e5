use super::*;

use holdfast_contract::Value;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn credentials(source: Source, environment: Environment) -> Credentials {
    credentials_of("http://127.0.0.1:1/", source, environment)
}

fn credentials_of(sts: &str, source: Source, environment: Environment) -> Credentials {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sts = Sts::new(
        reqwest::Client::builder().no_proxy().build().unwrap(),
        url::Url::parse(sts).unwrap(),
        "us-east-1".to_owned(),
    );
    Credentials::new(source, environment, sts)
}

fn secret_of(data: &[(&str, &str)]) -> Result<Source, ProviderError> {
    Source::chosen(Some(CredentialSource::Secret {
        origin: "ns/name".to_owned(),
        data: data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Sensitive::new(Value::from(*value))))
            .collect(),
    }))
}

#[tokio::test]
async fn a_secret_with_two_keys_is_enough() {
    let source = secret_of(&[
        ("aws_access_key_id", "AKID\n"),
        ("aws_secret_access_key", "hunter2\n"),
    ])
    .unwrap();
    let keys = credentials(source, Environment::default()).keys().await.unwrap();
    assert_eq!(
        (keys.access_key.as_str(), keys.secret_key.as_str()),
        ("AKID", "hunter2")
    );
}

#[test]
fn a_secret_may_hold_a_file_with_a_role() {
    let file = "[default]\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = /var/run/token\n";
    let Source::WebIdentity(identity) = secret_of(&[("credentials", file)]).unwrap() else {
        panic!("not a web identity");
    };
    assert_eq!(identity.role, "arn:aws:iam::1:role/r");
    assert_eq!(identity.token_file, PathBuf::from("/var/run/token"));
}

#[test]
fn what_is_missing_is_named_and_what_is_there_never_shows() {
    let error = secret_of(&[("aws_secret_access_key", "hunter2")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ns/name") && error.contains("aws_access_key_id"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    let error = secret_of(&[("credentials", "[default]\naws_secret_access_key=hunter2")])
        .unwrap_err()
        .to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let source = secret_of(&[
        ("aws_access_key_id", "AKID"),
        ("aws_secret_access_key", "hunter2"),
    ])
    .unwrap();
    let printed = format!(
        "{:?}",
        credentials(source, environment(&[("AWS_SECRET_ACCESS_KEY", "hunter2")]))
    );
    assert!(
        !printed.contains("hunter2") && !printed.contains("AKID"),
        "{printed}"
    );
}

#[tokio::test]
async fn the_environment_goes_before_profiles_and_may_name_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "[default]\naws_access_key_id=A\naws_secret_access_key=a\n[other]\naws_access_key_id=B\naws_secret_access_key=b\n").unwrap();
    let file = file.to_str().unwrap();
    let with = |more: &[(&str, &str)]| {
        let mut all = vec![
            ("AWS_SHARED_CREDENTIALS_FILE", file),
            ("AWS_CONFIG_FILE", "/nonexistent"),
        ];
        all.extend_from_slice(more);
        environment(&all)
    };
    let access_key = async |source, environment| {
        credentials(source, environment)
            .keys()
            .await
            .map(|keys| keys.access_key.clone())
    };

    assert_eq!(access_key(Source::Chain, with(&[])).await.unwrap(), "A");
    assert_eq!(
        access_key(Source::Chain, with(&[("AWS_PROFILE", "other")]))
            .await
            .unwrap(),
        "B"
    );
    let keys = [
        ("AWS_ACCESS_KEY_ID", "C"),
        ("AWS_SECRET_ACCESS_KEY", "c"),
        ("AWS_PROFILE", "other"),
    ];
    assert_eq!(access_key(Source::Chain, with(&keys)).await.unwrap(), "C");
    assert_eq!(
        access_key(Source::Profile("other".to_owned()), with(&keys))
            .await
            .unwrap(),
        "B"
    );
    let error = access_key(Source::Profile("nobody".to_owned()), with(&[]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`nobody`"), "{error}");
    let error = access_key(Source::Environment, with(&[])).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthenticated { .. }), "{error}");
}

#[test]
fn a_configuration_file_calls_its_profiles_so() {
    let profiles = profile::parse(
        "# comment\n[profile dev]\naws_access_key_id = A\naws_secret_access_key=b=c\ns3 =\n  aws_access_key_id = nested\n[ default ]\nregion=x\n",
    );
    assert_eq!(profiles["dev"]["aws_access_key_id"], "A");
    assert_eq!(profiles["dev"]["aws_secret_access_key"], "b=c");
    assert!(profiles.contains_key("default"));
}

#[test]
fn ways_that_are_not_supported_are_named() {
    let profiles = profile::parse("[default]\ncredential_process = /bin/secret-tool hunter2\n");
    let error = profile::source(&profiles, "default").unwrap_err();
    assert!(
        error.contains("credential_process") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_service_that_is_silent_is_waited_for_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    let identity = WebIdentity {
        role: "arn:aws:iam::111122223333:role/backup".to_owned(),
        token_file: file.path().to_owned(),
        session: "holdfast".to_owned(),
    };
    let source = Source::WebIdentity(identity);
    let credentials = credentials_of(&endpoint, source, Environment::default());
    let begun = Instant::now();
    let all = futures::future::join_all((0..100).map(|_| credentials.keys())).await;
    assert!(all.iter().all(Result::is_err), "{all:?}");
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_silent_about_its_identity_is_not_waited_for_without_end() {
    let (end, hangs) = std::sync::mpsc::channel::<()>();
    let fetching = tokio::spawn(blocking("the machine's metadata", move || {
        let _ = hangs.recv();
        Err("it never came".to_owned())
    }));
    tokio::task::yield_now().await;
    tokio::time::advance(FETCH).await;
    let error = fetching.await.unwrap().unwrap_err();
    drop(end);
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
}
