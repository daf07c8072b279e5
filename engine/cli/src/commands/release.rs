//! `holdfast release`: lets Policy resources go where nothing enforces them any more.

use std::sync::Arc;

use futures::StreamExt;
use holdfast_contract::{Desk, Holder, PolicyEvent, ProviderError};
use holdfast_kubernetes::KubernetesFactory;

use super::Exit;
use crate::arguments::Release;
use crate::printer::Printer;
use crate::world;

pub(crate) async fn run(arguments: Release, printer: Printer) -> Exit {
    match tokio::time::timeout(arguments.timeout, released(&arguments, printer)).await {
        Ok(Ok(())) => Exit::Done,
        Ok(Err(error)) => {
            printer.error(&error.to_string());
            Exit::Failed
        }
        Err(_) => {
            let seconds = arguments.timeout.as_secs();
            printer.error(&format!("not done after {seconds} s; --timeout allows more"));
            Exit::Failed
        }
    }
}

async fn released(arguments: &Release, printer: Printer) -> Result<(), ProviderError> {
    let kubernetes = KubernetesFactory::new(world::connection(&arguments.cluster));
    let namespaces = arguments.namespace.iter().cloned().collect();
    let desk: Arc<dyn Desk> = kubernetes.desk(namespaces, &Holder("release".to_owned())).await?;
    let mut events = desk.policies();
    while let Some(event) = events.next().await {
        match event {
            PolicyEvent::All(policies) => {
                for policy in policies.iter().filter(|policy| policy.finalizer) {
                    desk.set_finalizer(&policy.id, &policy.uid, false).await?;
                    printer.answer(&format!("{} is let go\n", policy.id));
                }
                return Ok(());
            }
            PolicyEvent::Failed(error) => return Err(error),
            // Of what was told of before: the first that is told is all there are.
            PolicyEvent::Read | PolicyEvent::Changed(_) | PolicyEvent::Gone(_) => {}
        }
    }
    Ok(())
}
