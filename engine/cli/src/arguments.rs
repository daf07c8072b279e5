//! What a person can say on the command line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use holdfast_contract::{PolicyId, ServiceAccount};

use crate::listen::Listen;

/// Keep a cluster and its backup buckets as a policy says.
#[derive(Debug, Parser)]
#[command(
    name = "holdfast",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Show colours.
    #[arg(long, value_enum, default_value_t = Colour::Auto, global = true)]
    colour: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what would change, and write nothing.
    Plan(Plan),
    /// Bring the world to what the policies say.
    Apply(Apply),
    /// Enforce policies for good: what drifts is put back.
    Run(Run),
    /// Show all that is wrong with policies; never touches the network.
    Validate(Validate),
    /// Show what whoever keeps policies must be allowed to do; never touches the network.
    Permissions(Permissions),
    /// Print a policy as one document, with the files that it names inside: a Policy resource.
    Bundle(Bundle),
    /// Take the finalizer off Policy resources, so that they can be deleted where nothing enforces them any more.
    Release(Release),
    /// Print the JSON schema of policies, for editors.
    Schema(Schema),
    /// Explain a part of holdfast.
    Explain(Explain),
}

/// Which policies, and with which values.
#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// Policy files, folders that hold them, or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Give a parameter a value: NAME=VALUE, read by the parameter's type.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,

    /// Take parameters' values from a YAML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,
}

/// Which world.
#[derive(Args, Debug)]
pub(crate) struct Where {
    /// Use an in-memory world in place of a cluster and a cloud, kept in STATE if that is named.
    ///
    /// It starts with what the policy folder's sandbox.yaml holds.
    #[arg(long, value_name = "STATE", num_args = 0..=1, require_equals = true, conflicts_with_all = ["context", "kubeconfig"])]
    #[expect(
        clippy::option_option,
        reason = "no flag, a bare flag, and a flag with a file are three answers"
    )]
    pub(crate) sandbox: Option<Option<PathBuf>>,

    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Which cluster.
#[derive(Args, Debug)]
pub(crate) struct Cluster {
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The kubeconfig file; else KUBECONFIG, ~/.kube/config, or the pod's own account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The namespace of ledgers and leases.
    #[arg(long, value_name = "NAMESPACE", default_value = "holdfast-system")]
    pub(crate) state_namespace: String,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) world: Where,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Exit with 2 if something would change or doesn't hold.
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// One line for each resource, without its fields.
    #[arg(long)]
    pub(crate) summary: bool,
    /// Give up after this time: 90s, 5m, 1h.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) world: Where,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Don't ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Don't wait until what was written is ready.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Stop waiting after this time: 90s, 5m, 1h.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Policy files, or folders that hold them; read again when they change.
    #[arg(value_name = "PATH", required_unless_present = "policies")]
    pub(crate) paths: Vec<PathBuf>,

    /// Give a parameter of these a value: NAME=VALUE, read by the parameter's type.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,

    /// Take parameters' values from a YAML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) values: Vec<PathBuf>,

    /// Enforce the Policy resources of the cluster, too, each as the account that it names.
    #[arg(long)]
    pub(crate) policies: bool,

    /// Only the Policy resources of this namespace; may be said again.
    #[arg(long, value_name = "NAMESPACE", requires = "policies")]
    pub(crate) namespace: Vec<String>,

    /// As whom Policy resources act that name no account; without it they aren't enforced.
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "policies")]
    pub(crate) default_account: Option<ServiceAccount>,

    /// A Policy resource that may sign in to stores by what this process has of its own; may be said again.
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "policies")]
    pub(crate) ambient_credentials: Vec<PolicyId>,

    /// Observe: report, and never write, whatever policies say.
    #[arg(long, value_enum, default_value_t = Mode::Enforce)]
    pub(crate) mode: Mode,

    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// The name of this replica; by default the host's, and something random.
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,

    /// How long a policy is this replica's without a renewal of its lease.
    #[arg(long, value_name = "TIME", default_value = "137s", value_parser = duration)]
    pub(crate) lease_duration: Duration,

    /// Without a renewal for so long, nothing more is written.
    #[arg(long, value_name = "TIME", default_value = "107s", value_parser = duration)]
    pub(crate) renew_deadline: Duration,

    /// How often leases are renewed, and those of others looked at.
    #[arg(long, value_name = "TIME", default_value = "26s", value_parser = duration)]
    pub(crate) retry_period: Duration,

    /// How many policies have a cycle under way at once.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub(crate) concurrency: usize,

    /// Where /healthz, /readyz and /metrics are served, such as 127.0.0.1:8080, or :8080 for every address that there is; by
    /// default nowhere.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<Listen>,

    /// The form of the log. `RUST_LOG` says what is logged.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum Mode {
    /// As each policy says.
    Enforce,
    /// Report, and never write.
    Observe,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON document a line.
    Json,
    /// For people.
    Text,
}

#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// Policy files, folders that hold them, or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Permissions {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = PermissionsOutput::Text)]
    pub(crate) output: PermissionsOutput,
    /// The service account that gets the roles of `-o rbac`; else the one that the policy names, or one of the policy's own
    /// name.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) account: Option<ServiceAccount>,
}

#[derive(Args, Debug)]
pub(crate) struct Release {
    /// Only the Policy resources of this namespace; may be said again.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Vec<String>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Give up after this time: 90s, 5m, 1h.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// How to print permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PermissionsOutput {
    /// For people.
    Text,
    /// Roles and their bindings, for a cluster.
    Rbac,
    /// A policy of IAM, for AWS.
    AwsIam,
}

#[derive(Args, Debug)]
pub(crate) struct Bundle {
    /// A policy's file, its folder, or `-` for standard input.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The resource's namespace, which is a part of what the policy is; else the one that it names.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// Print the CustomResourceDefinition of policies, for clusters.
    #[arg(long)]
    pub(crate) crd: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// What to explain.
    #[arg(value_enum)]
    pub(crate) topic: Topic,
}

/// What can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Topic {
    /// The state machine of a resource.
    States,
    /// The codes of diagnostics.
    Codes,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs; the form is stable.
    Json,
}

impl Arguments {
    /// Whether text is coloured.
    pub(crate) fn colour(&self) -> bool {
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }

    /// Starts the log on standard error: what `RUST_LOG` says; else warnings, and of the enforcer what it does.
    pub(crate) fn start_log(&self) {
        use tracing_subscriber::EnvFilter;
        let (level, format) = match &self.command {
            Command::Run(run) => ("info", run.log_format),
            _ => ("warn", LogFormat::Text),
        };
        let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
        let filter = EnvFilter::try_new(directives(&asked, level))
            .unwrap_or_else(|_| EnvFilter::new(directives("", level)));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(std::io::stderr);
        match format {
            LogFormat::Text => log.init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
    }
}

/// Who logs of each try what stands in our own error, once: of a lost connection, and of a certificate.
const TALKATIVE: [&str; 2] = ["kube_client", "rustls_platform_verifier"];

/// What is logged: as `asked`, else from `level` on; of the [`TALKATIVE`] only what is asked for by name.
fn directives(asked: &str, level: &str) -> String {
    let asked = if asked.trim().is_empty() { level } else { asked };
    let silenced = TALKATIVE.iter().filter(|name| !asked.contains(*name));
    silenced.fold(asked.to_owned(), |all, name| format!("{all},{name}=off"))
}

/// `90s`, `5m`, `1h`, or a combination of them.
fn duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is no time; write it like 90s, 5m or 1h30m");
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(fault()),
        };
        let count: u64 = digits.parse().map_err(|_| fault())?;
        let part = count.checked_mul(unit).ok_or_else(fault)?;
        seconds = seconds.checked_add(part).ok_or_else(fault)?;
        digits.clear();
    }
    if digits.is_empty() && !text.is_empty() {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(fault())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert!(duration("90").is_err());
        assert!(duration("").is_err());
        assert!(duration("99999999999999999999h").is_err());
    }

    #[test]
    fn what_others_say_of_connections_and_certificates_is_left_out_unless_it_is_asked_for() {
        let silenced = "kube_client=off,rustls_platform_verifier=off";
        assert_eq!(directives("", "info"), format!("info,{silenced}"));
        assert_eq!(directives("debug", "info"), format!("debug,{silenced}"));
        assert_eq!(
            directives("warn,kube_client=debug", "info"),
            "warn,kube_client=debug,rustls_platform_verifier=off"
        );
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
