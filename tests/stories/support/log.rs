//! What a server process wrote, kept so that a story can look at it and a failed story can show it.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Mutex},
    thread,
};

use tokio::sync::Notify;

/// The lines of a server's standard output and standard error, over restarts.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    grown: Arc<Notify>,
}

impl Log {
    /// Keeps what comes out of `pipe` until it is closed.
    pub fn follow(&self, pipe: impl Read + Send + 'static) {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                log.lines.lock().unwrap().push(line);
                log.grown.notify_one();
            }
            log.grown.notify_one();
        });
    }

    /// Waits until there may be a new line.
    pub async fn growth(&self) {
        self.grown.notified().await;
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}
