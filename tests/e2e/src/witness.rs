use holdfast_testbed::{AuditEvent, Request};

/// What a run of the program asked for, as the servers tell of it.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Of the API server, in the order in which the requests ended.
    pub kubernetes: Vec<AuditEvent>,
    /// Of the object store, in the order in which the requests came.
    pub s3: Vec<Request>,
}

impl Witness {
    /// All that was to change something, as lines for a person; empty is the proof that nothing was.
    ///
    /// The policy's Lease counts, and so does what was refused.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        let kubernetes = self.kubernetes.iter().filter(|event| event.is_write());
        let s3 = self.s3.iter().filter(|request| request.is_write());
        kubernetes
            .map(|event| format!("{} {} {}", event.verb, event.uri, event.code))
            .chain(s3.map(|request| format!("{} {}?{}", request.method, request.path, request.query)))
            .collect()
    }

    /// The writes, without those of the Lease, which `apply` takes and gives back whatever else it does.
    #[must_use]
    pub fn writes_beside_the_lease(&self) -> Vec<String> {
        let mut writes = self.writes();
        writes.retain(|write| !write.contains("/leases"));
        writes
    }

    /// How many requests each server got, with what they were, for the printed record of a test.
    #[must_use]
    pub fn summary(&self) -> String {
        let dry_runs = self.kubernetes.iter().filter(|event| event.dry_run).count();
        format!(
            "{} Kubernetes requests ({dry_runs} dry runs), {} S3 requests",
            self.kubernetes.len(),
            self.s3.len()
        )
    }

    /// One line for each request, in the order in which they came.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines: Vec<_> = self
            .kubernetes
            .iter()
            .map(|event| {
                (
                    event.timestamp,
                    format!("{} {} {}", event.verb, event.uri, event.code),
                )
            })
            .chain(self.s3.iter().map(|request| {
                let status = request.status.unwrap_or_default();
                (
                    request.started,
                    format!("{} {}?{} {status}", request.method, request.path, request.query),
                )
            }))
            .collect();
        lines.sort();
        let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }
}
