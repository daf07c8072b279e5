//! The expressions of whole policies: fleets, guardrails, backups, audits.

use crate::{NOW, environment};
use holdfast_expression::{Bindings, Budget, Context, Program, Value};
use serde_json::json;

fn scope() -> Bindings {
    let roots = json!({
        "parameters": {
            "namespace": "openshift-velero", "expiryDays": 90, "fleetMode": "Enforce", "prefix": "acme-prod-",
            "locations": [{"name": "a", "bucket": "b-a", "region": "r1", "readOnly": false}],
        },
        "facts": {
            "cluster": {"id": "demo-x7k2p", "platform": "AWS", "tags": [{"key": "team", "value": "a"}]},
            "installConfig": {"text": "{\"platform\": {\"aws\": {\"region\": \"us-gov-west-1\"}}}"},
            "installer": {},
            "secret": {"uid": "u-1", "version": "42"},
            "schedules": [{"ttl": "720h"}, {}],
            "locations": [{"default": true}, {}],
            "serviceMonitors": true,
            "buckets": [{"name": "x", "tags": {"holdfast-exempt": "yes"}}, {"name": "y"}],
            "teams": [
                {"metadata": {"name": "a", "labels": {"team": "a"}}},
                {"metadata": {"name": "b", "labels": {"team": "b"}, "deletionTimestamp": "2024-01-01T00:00:00Z"}},
            ],
        },
        "variables": {"aws": true, "gcp": false, "region": "us-gov-west-1", "token": false, "ours": {"velero.io/backup-location": "default"}},
        "each": {"key": "a", "value": {"name": "a", "readOnly": true, "endpoint": "http://s3", "secret": "s", "metadata": {"labels": {"team": "a"}, "annotations": {"quota/pods": "70"}}}},
        "self": {
            "name": "backups", "arn": "arn:aws:s3:::backups", "kind": "BackupStorageLocation", "status": {"phase": "Available"}, "versioning": {"status": "Enabled"},
            "encryption": {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms:dsse"}}]},
        },
    });
    let mut scope = Bindings::new();
    for (name, value) in roots.as_object().unwrap() {
        scope = scope.with(name.as_str(), Value::from_json(value));
    }
    scope.with(
        "rules",
        Value::map([("bucket", Value::map([("name", Value::unknown(["bucket"]))]))]),
    )
}

#[test]
fn every_expression_of_the_example_policies_works() {
    let scope = scope();
    let mut wrong = Vec::new();
    for (source, expected) in [
        ("facts.cluster.platform == 'AWS'", "true"),
        (
            "has(facts.cluster.region) ? facts.cluster.region : yaml(facts.installConfig.text).platform.aws.region",
            "\"us-gov-west-1\"",
        ),
        (
            "variables.region.startsWith('us-gov-') ? 'aws-us-gov' : variables.region.startsWith('cn-') ? 'aws-cn' : 'aws'",
            "\"aws-us-gov\"",
        ),
        (
            "facts.?cloudCredential.?mode.orValue('') == 'Manual' && facts.?authentication.?issuer.orValue('') != ''",
            "false",
        ),
        ("variables.aws || variables.gcp", "true"),
        ("has(facts.installer) || !has(facts.installManifests)", "true"),
        ("has(parameters.identity) || !variables.token", "true"),
        (
            "facts.schedules.all(s, duration(s.?ttl.orValue('720h')) < days(parameters.expiryDays))",
            "true",
        ),
        ("has(parameters.kmsKey) ? 'aws:kms' : 'AES256'", "\"AES256\""),
        ("parameters.?kmsKey", "optional.none()"),
        (
            "merge(toMap(facts.cluster.?tags.orValue([])), variables.ours)",
            "{\"team\": \"a\", \"velero.io/backup-location\": \"default\"}",
        ),
        (
            "gcpLabels(variables.ours)",
            "{\"velero-io-backup-location\": \"default\"}",
        ),
        ("variables.region.upperAscii()", "\"US-GOV-WEST-1\""),
        ("rules.bucket.name", "(known after apply)"),
        (
            "self.kind != 'BackupStorageLocation' || self.status.phase == 'Available'",
            "true",
        ),
        ("facts.secret.uid + '-' + facts.secret.version", "\"u-1-42\""),
        (
            "parameters.?image.orValue(facts.?running.?image.orValue('docker.io/velero/velero:v1.18.0'))",
            "\"docker.io/velero/velero:v1.18.0\"",
        ),
        (
            "facts.locations.filter(l, l.?default.orValue(false)).size() == 1",
            "true",
        ),
        (
            "facts.buckets.filter(b, !('holdfast-exempt' in b.?tags.orValue({})))",
            "[{\"name\": \"y\"}]",
        ),
        (
            "facts.teams.filter(n, !has(n.metadata.deletionTimestamp)).map(n, n.metadata.name)",
            "[\"a\"]",
        ),
        (
            "each.value.metadata.?annotations[?'quota/pods'].orValue('50')",
            "\"70\"",
        ),
        ("each.value.metadata.labels.team", "\"a\""),
        ("each.value.readOnly == false", "false"),
        ("each.value.?endpoint", "optional.of(\"http://s3\")"),
        (
            "has(each.value.secret) ? {'secret': {'namespace': 'velero', 'name': each.value.secret}} : omit()",
            "{\"secret\": {\"name\": \"s\", \"namespace\": \"velero\"}}",
        ),
        ("each.key == parameters.locations[0].name", "true"),
        ("each.value.readOnly ? 'ReadOnly' : 'ReadWrite'", "\"ReadOnly\""),
        ("string(has(each.value.endpoint))", "\"true\""),
        (
            "self.encryption.rules.exists(r, r.applyServerSideEncryptionByDefault.sseAlgorithm.startsWith('aws:kms'))",
            "true",
        ),
        ("self.versioning.status == 'Enabled'", "true"),
        ("now()", "2024-02-29T12:30:45.678Z"),
        (
            "parameters.debug ? '--debug' : omit()",
            "`parameters.debug` isn't there",
        ),
    ] {
        let program = Program::compile(source, &environment().allow_now()).unwrap();
        let result = program.evaluate(&scope, &mut Budget::default(), &Context::at(NOW));
        let found = result.map_or_else(|error| error.to_string(), |value| value.to_string());
        if found != expected {
            wrong.push(format!("{source}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
