//! The CustomResourceDefinitions that managed-velero brings, held against Velero's own.
//!
//! Ours are smaller. What counts is that nobody notices: the same kinds under the same names, and whatever Velero's
//! schema accepts is accepted by ours and kept whole, with the same defaults and the same merging.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use holdfast_testbed::{Cluster, kubectl, kubectl_with_input};
use serde_json::{Map, Value, json};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
/// The server knows these at the top of every object, whether the schema has them or not.
const TOP: [&str; 3] = ["apiVersion", "kind", "metadata"];

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn by_name(files: impl IntoIterator<Item = PathBuf>) -> BTreeMap<String, Value> {
    files
        .into_iter()
        .map(|path| {
            let crd = read(&path);
            (crd["metadata"]["name"].as_str().unwrap().to_owned(), crd)
        })
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/managed-velero/crds")
}

fn ours() -> BTreeMap<String, Value> {
    by_name(folder().read_dir().unwrap().map(|entry| entry.unwrap().path()))
}

fn theirs() -> BTreeMap<String, Value> {
    by_name(holdfast_testbed::fixtures::velero_crds().unwrap())
}

/// Pairs of ours and theirs, version by version, with a name for messages.
fn versions() -> Vec<(String, Value, Value)> {
    let ours = ours();
    let mut pairs = Vec::new();
    for (name, theirs) in theirs() {
        let ours = ours
            .get(&name)
            .unwrap_or_else(|| panic!("{name} is missing from crds/"));
        let [our_versions, their_versions] =
            [ours, &theirs].map(|crd| crd["spec"]["versions"].as_array().unwrap());
        assert_eq!(
            our_versions.len(),
            their_versions.len(),
            "{name}: number of versions"
        );
        for (ours, theirs) in our_versions.iter().zip(their_versions) {
            let version = theirs["name"].as_str().unwrap();
            pairs.push((format!("{name}/{version}"), ours.clone(), theirs.clone()));
        }
    }
    pairs
}

fn schema(version: &Value) -> &Value {
    &version["schema"]["openAPIV3Schema"]
}

fn properties(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

fn words(value: &Value) -> BTreeSet<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect()
}

/// All places where an object that `theirs` accepts would be refused, cut or merged differently by `ours`.
fn narrower(ours: &Value, theirs: &Value, path: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{path}: {what}"));
    for (keyword, value) in ours.as_object().unwrap() {
        let same = theirs.get(keyword) == Some(value);
        match keyword.as_str() {
            "description" | "properties" | "items" | "additionalProperties" | "nullable" | PRESERVE => {}
            "enum" if theirs.get("enum").is_some() => {
                for word in words(&theirs["enum"]).difference(&words(value)) {
                    fault(format!("{word} is not in our enum"));
                }
            }
            "required" => {
                for word in words(value).difference(&words(&theirs["required"])) {
                    fault(format!("{word} is required by ours only"));
                }
            }
            // The type, and whatever else narrows or changes the merging: theirs to the letter.
            _ if !same => fault(format!("`{keyword}: {value}` is ours only")),
            _ => {}
        }
    }
    for keyword in [
        "default",
        "x-kubernetes-map-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-int-or-string",
    ] {
        if theirs.get(keyword).is_some() && ours.get(keyword).is_none() {
            fault(format!("`{keyword}: {}` is theirs only", theirs[keyword]));
        }
    }
    if theirs["nullable"] == true && ours["nullable"] != true {
        fault("null is refused".to_owned());
    }
    let open = ours[PRESERVE] == true;
    if theirs[PRESERVE] == true && !open {
        fault("unknown fields are cut".to_owned());
    }

    let (our_fields, their_fields) = (properties(ours), properties(theirs));
    for name in our_fields.keys().filter(|name| !their_fields.contains_key(*name)) {
        faults.push(format!("{path}.{name}: Velero has no such field"));
    }
    for (name, theirs) in their_fields {
        match our_fields.get(&name) {
            Some(ours) => faults.extend(narrower(ours, &theirs, &format!("{path}.{name}"))),
            None if open || (path.is_empty() && TOP.contains(&name.as_str())) => {}
            None => faults.push(format!("{path}.{name}: is cut")),
        }
    }
    for (keyword, name) in [("additionalProperties", ".*"), ("items", "[]")] {
        match (ours.get(keyword), theirs.get(keyword)) {
            (_, None) => {}
            (Some(ours), Some(theirs)) if ours.is_object() && theirs.is_object() => {
                faults.extend(narrower(ours, theirs, &format!("{path}{name}")));
            }
            (ours, Some(theirs)) if ours == Some(theirs) || open => {}
            _ => faults.push(format!("{path}{name}: is cut")),
        }
    }
    faults
}

#[test]
fn there_are_veleros_kinds_and_velero_install() {
    let mut expected: BTreeSet<_> = theirs().into_keys().collect();
    assert_eq!(expected.len(), 13);
    expected.insert("veleroinstalls.managed.openshift.io".to_owned());
    assert_eq!(ours().into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn groups_scopes_and_names_are_veleros() {
    let ours = ours();
    for (name, theirs) in theirs() {
        for key in ["group", "scope", "names"] {
            assert_eq!(ours[&name]["spec"][key], theirs["spec"][key], "{name}: {key}");
        }
    }
}

#[test]
fn versions_and_printer_columns_are_veleros() {
    for (name, ours, theirs) in versions() {
        for key in ["name", "served", "storage"] {
            assert_eq!(ours[key], theirs[key], "{name}: {key}");
        }
        let [ours, theirs] = [&ours, &theirs].map(|version| {
            let mut columns = version["additionalPrinterColumns"].clone();
            for column in columns.as_array_mut().into_iter().flatten() {
                column.as_object_mut().unwrap().remove("description");
            }
            columns
        });
        assert_eq!(ours, theirs, "{name}: additionalPrinterColumns");
    }
}

/// Velero writes status through the object itself; with a subresource its writes would be dropped without a word.
#[test]
fn no_kind_of_velero_has_subresources() {
    for (name, ours, theirs) in versions() {
        for version in [&ours, &theirs] {
            let subresources = version["subresources"].as_object();
            assert!(subresources.is_none_or(Map::is_empty), "{name}: subresources");
        }
    }
}

#[test]
fn what_veleros_schema_accepts_is_accepted_and_kept() {
    let faults: Vec<_> = versions()
        .iter()
        .flat_map(|(name, ours, theirs)| {
            narrower(schema(ours), schema(theirs), "")
                .into_iter()
                .map(move |fault| format!("{name} {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Two documents, so that plain ones stay plain: the fields that backups and schedules share are written twice.
#[test]
fn a_schedules_template_is_a_backups_spec() {
    let ours = ours();
    let spec =
        |name: &str| schema(&ours[name]["spec"]["versions"][0])["properties"]["spec"]["properties"].clone();
    assert_eq!(
        spec("schedules.velero.io")["template"]["properties"],
        spec("backups.velero.io")
    );
}

#[test]
fn velero_install_is_what_earlier_clusters_have() {
    let crd = ours()["veleroinstalls.managed.openshift.io"].clone();
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["name"], "v1alpha2");
    assert_eq!(version["subresources"], json!({ "status": {} }));
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            (
                column["name"].as_str().unwrap(),
                column["jsonPath"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        columns,
        [
            ("Bucket", ".status.storageBucket.name"),
            ("Provisioned", ".status.storageBucket.provisioned"),
            ("Last Sync", ".status.storageBucket.lastSyncTimestamp"),
        ]
    );
    let bucket = &schema(version)["properties"]["status"]["properties"]["storageBucket"];
    assert_eq!(bucket["required"], json!(["provisioned"]));
    assert_eq!(bucket["properties"]["name"]["maxLength"], 63);
}

/// What Velero and its users write, with parts that our schemas say nothing of.
const BACKUP: &str = r#"{
    "apiVersion": "velero.io/v1",
    "kind": "Backup",
    "metadata": { "name": "nightly", "namespace": "default" },
    "spec": {
        "ttl": "720h0m0s",
        "includedNamespaces": null,
        "labelSelector": { "matchExpressions": [{ "key": "app", "operator": "In", "values": ["web"] }] },
        "hooks": { "resources": [{ "name": "freeze", "labelSelector": null, "pre": [
            { "exec": { "command": ["/bin/sync"], "onError": "Fail" } }
        ] }] }
    },
    "status": { "phase": "InProgress", "progress": { "itemsBackedUp": 3 }, "hookStatus": null }
}"#;

#[tokio::test]
async fn a_real_server_takes_them_and_keeps_what_velero_writes() {
    let cluster = Cluster::start().await.unwrap();
    let folder = folder();
    let folder = folder.to_str().unwrap();
    kubectl(&cluster, &["apply", "--server-side", "--filename", folder])
        .await
        .unwrap();
    let established = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "--filename",
        folder,
    ];
    kubectl(&cluster, &established).await.unwrap();

    let definitions = kubectl(&cluster, &["get", "crd", "--output=json"]).await.unwrap();
    let definitions: Value = serde_json::from_str(&definitions).unwrap();
    for crd in definitions["items"].as_array().unwrap() {
        let conditions = crd["status"]["conditions"].as_array().unwrap();
        let complaint = conditions
            .iter()
            .find(|condition| condition["type"] == "NonStructuralSchema");
        assert_eq!(complaint, None, "{}", crd["metadata"]["name"]);
    }

    kubectl_with_input(&cluster, &["create", "--validate=strict", "--filename=-"], BACKUP)
        .await
        .unwrap();
    let kept = kubectl(&cluster, &["get", "backups.velero.io/nightly", "--output=json"])
        .await
        .unwrap();
    let (kept, written): (Value, Value) = (
        serde_json::from_str(&kept).unwrap(),
        serde_json::from_str(BACKUP).unwrap(),
    );
    assert_eq!(kept["spec"], written["spec"]);
    assert_eq!(kept["status"], written["status"]);

    let typo = BACKUP.replace("nightly", "typo").replace("\"ttl\"", "\"tll\"");
    let refused = kubectl_with_input(&cluster, &["create", "--validate=strict", "--filename=-"], &typo).await;
    assert!(refused.unwrap_err().to_string().contains("spec.tll"));
}

#[test]
fn the_comparison_names_the_path_that_is_narrower() {
    let theirs = json!({
        "type": "object",
        "required": ["phase"],
        "properties": {
            "phase": { "type": "string", "enum": ["New", "Done"], "nullable": true },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "refs": { "type": "array", "items": { "type": "object", "properties": {
                "key": { "type": "string" }, "name": { "type": "string", "default": "" },
            } } },
        },
    });
    assert_eq!(narrower(&theirs, &theirs, ""), Vec::<String>::new());
    let open = json!({ "type": "object", PRESERVE: true });
    assert_eq!(narrower(&open, &theirs, ""), Vec::<String>::new());

    let cases = [
        (
            json!({ "type": "object" }),
            vec![".labels: is cut", ".phase: is cut", ".refs: is cut"],
        ),
        (
            json!({ "type": "object", PRESERVE: true, "required": ["labels"], "properties": {
                "phase": { "type": "string", "enum": ["New"], "pattern": "^N" },
            } }),
            vec![
                ".phase: \"Done\" is not in our enum",
                ".phase: `pattern: \"^N\"` is ours only",
                ".phase: null is refused",
                ": \"labels\" is required by ours only",
            ],
        ),
        (
            json!({ "type": "object", PRESERVE: true, "properties": {
                "labels": { "type": "object", "additionalProperties": { "type": "integer" } },
                "lables": { "type": "object" },
                "refs": { "type": "array", "items": { "type": "object", "properties": {
                    "name": { "type": "string" },
                } } },
            } }),
            vec![
                ".labels.*: `type: \"integer\"` is ours only",
                ".lables: Velero has no such field",
                ".refs[].key: is cut",
                ".refs[].name: `default: \"\"` is theirs only",
            ],
        ),
    ];
    for (ours, expected) in cases {
        let mut faults = narrower(&ours, &theirs, "");
        faults.sort();
        assert_eq!(faults, expected);
    }
}
