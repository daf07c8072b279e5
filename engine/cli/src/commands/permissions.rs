//! `holdfast permissions`: what whoever keeps policies must be allowed to do.

use std::fmt::Write as _;

use holdfast_contract::{NoAccount, Permissions, RbacRule, ServiceAccount};
use holdfast_engine::Clock;
use holdfast_policy::ValidPolicy;
use serde_json::json;

use super::Exit;
use crate::arguments::{Permissions as Arguments, PermissionsOutput};
use crate::policies::{self, Chosen};
use crate::printer::Printer;
use crate::world;

pub(crate) fn run(arguments: &Arguments, printer: Printer) -> Exit {
    let registry = world::offline();
    let chosen = match policies::choose(&arguments.selection, &registry, printer) {
        Ok(chosen) => chosen,
        Err(exit) => return exit,
    };
    let mut answers = Vec::new();
    let mut all = Permissions::new();
    for Chosen { policy, supplied, .. } in chosen {
        let permissions =
            match holdfast_engine::permissions::permissions(&policy, &supplied, &registry, Clock::System) {
                Ok(permissions) => permissions,
                Err(faults) => {
                    policies::show(&faults, printer);
                    return Exit::Invalid;
                }
            };
        for note in &permissions.notes {
            printer.aside(&format!("note: {}: {note}", policy.id.name));
        }
        match arguments.output {
            PermissionsOutput::Text => answers.push(text(&policy, &permissions)),
            PermissionsOutput::Rbac => {
                let account = arguments.account.clone().map_or_else(|| own(&policy), Ok);
                match account {
                    Ok(account) => answers.push(rbac(&policy, &permissions, &account)),
                    Err(error) => {
                        printer.error(&error.to_string());
                        return Exit::Invalid;
                    }
                }
            }
            PermissionsOutput::AwsIam => all.extend(permissions),
        }
    }
    match arguments.output {
        PermissionsOutput::Text => printer.answer(&answers.join("\n")),
        PermissionsOutput::Rbac => printer.answer(&answers.join("---\n")),
        PermissionsOutput::AwsIam => printer.answer(&format!("{:#}\n", iam(&all))),
    }
    Exit::Done
}

/// A line for each rule, by place.
fn text(policy: &ValidPolicy, permissions: &Permissions) -> String {
    let mut text = format!("{}\n", policy.id.name);
    let mut line = |line: &str| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{line}");
    };
    for (namespace, rules) in permissions.rbac() {
        line("");
        line(&match namespace {
            Some(namespace) => format!("  Kubernetes, in the namespace {namespace}"),
            None => "  Kubernetes, in the whole cluster".to_owned(),
        });
        for RbacRule {
            api_groups,
            resources,
            resource_names,
            verbs,
        } in rules
        {
            let group = api_groups.join(", ");
            let resources = resources.iter().map(|resource| match group.as_str() {
                "" => resource.clone(),
                group => format!("{resource}.{group}"),
            });
            let names = match resource_names.join(", ") {
                names if names.is_empty() => names,
                names => format!(": {names}"),
            };
            let resources = resources.collect::<Vec<_>>().join(", ");
            line(&format!("    {} {resources}{names}", verbs.join(", ")));
        }
    }
    for (resource, actions) in permissions.aws() {
        line("");
        line(&format!("  AWS, on {resource}"));
        for action in actions {
            line(&format!("    {action}"));
        }
    }
    text
}

/// The account that the policy names, or one of its own name.
fn own(policy: &ValidPolicy) -> Result<ServiceAccount, NoAccount> {
    let name = policy.service_account_name.as_ref().unwrap_or(&policy.id.name);
    ServiceAccount::new(&policy.id.namespace, name)
}

/// Roles for the cluster and for each namespace, bound to `account`. Texts are as JSON has them, which is YAML
/// whatever is in them.
fn rbac(policy: &ValidPolicy, permissions: &Permissions, account: &ServiceAccount) -> String {
    let name = format!("holdfast:{}:{}", policy.id.namespace, policy.id.name);
    let mut documents = Vec::new();
    for (namespace, rules) in permissions.rbac() {
        let kind = if namespace.is_some() {
            "Role"
        } else {
            "ClusterRole"
        };
        let head = |kind: &str| {
            let mut head = format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {}\n",
                json!(name)
            );
            if let Some(namespace) = namespace {
                let _ = writeln!(head, "  namespace: {}", json!(namespace));
            }
            head
        };
        let rules: String = rules.iter().map(rule).collect();
        documents.push(format!("{}rules:\n{rules}", head(kind)));
        documents.push(format!(
            "{}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {}\nsubjects:\n  - kind: \
             ServiceAccount\n    name: {}\n    namespace: {}\n",
            head(&format!("{kind}Binding")),
            json!(name),
            json!(account.name()),
            json!(account.namespace()),
        ));
    }
    documents.join("---\n")
}

fn rule(rule: &RbacRule) -> String {
    let mut text = format!(
        "  - apiGroups: {}\n    resources: {}\n",
        json!(rule.api_groups),
        json!(rule.resources)
    );
    if !rule.resource_names.is_empty() {
        let _ = writeln!(text, "    resourceNames: {}", json!(rule.resource_names));
    }
    let _ = writeln!(text, "    verbs: {}", json!(rule.verbs));
    text
}

/// A policy of IAM. One document for all policies, as one identity has one.
fn iam(permissions: &Permissions) -> serde_json::Value {
    let statements = permissions
        .aws()
        .into_iter()
        .map(|(resource, actions)| json!({ "Effect": "Allow", "Action": actions, "Resource": resource }));
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}
