//! Which application services are being told at the moment, each by a task of its own.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use tokio::{task::JoinHandle, time::sleep};
use tracing::error;

use super::{Bridges, RETRY};
use crate::appservices::Appservice;

/// The tasks, by the ids of their services.
#[derive(Default)]
pub(super) struct Workers {
    at_work: HashMap<String, Worker>,
}

struct Worker {
    service: Arc<Appservice>,
    task: JoinHandle<()>,
}

impl Workers {
    /// Has a task for each of these services that wants to be told. Those whose registration has not changed go on undisturbed.
    pub async fn suit(&mut self, bridges: &Bridges, services: &[Arc<Appservice>]) {
        let stays = |worker: &Worker| services.iter().any(|service| Arc::ptr_eq(service, &worker.service));
        let ended: Vec<_> = self.at_work.extract_if(|_, worker| !stays(worker)).map(|(_, worker)| worker).collect();
        for worker in ended {
            bridges.lock().entry(worker.service.id.clone()).or_default().begins_anew();
            // No two tell the same service.
            worker.end().await;
        }
        for service in services.iter().filter(|service| service.url.is_some()) {
            let begin =
                || Worker { service: service.clone(), task: tokio::spawn(work(bridges.clone(), service.clone())) };
            self.at_work.entry(service.id.clone()).or_insert_with(begin);
        }
    }

    /// Ends all.
    pub async fn end(self) {
        for worker in self.at_work.into_values() {
            worker.end().await;
        }
    }
}

impl Worker {
    async fn end(self) {
        self.task.abort();
        // It was told to end, so that it is no news that it has.
        let _ = self.task.await;
    }
}

/// Works for a service; a failure of this server costs the service time and nobody else anything.
async fn work(bridges: Bridges, service: Arc<Appservice>) {
    while AssertUnwindSafe(bridges.clone().work(service.clone())).catch_unwind().await.is_err() {
        error!(service = service.id, "telling an application service failed; starting again soon");
        sleep(RETRY).await;
    }
}
