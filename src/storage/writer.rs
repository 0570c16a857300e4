//! The one writer of an engine: a thread that takes all waiting batches, orders them and writes them as one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::error;

use super::{Batch, Commit, Family, Position, overlay::Overlay};
use crate::error::{Error, Kind, Result};

/// A group grows no further than this, so that the first of its commits does not wait for too much work of others.
const GROUP_BATCHES: usize = 256;
/// In bytes of keys and values.
const GROUP_BYTES: usize = 4 << 20;

/// What the writer needs of the engine it writes for. Only the writer's thread calls these.
pub(super) trait Backend: Send + 'static {
    /// The newest value of a key.
    fn read(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Writes the batches as one, remembers `last` as the newest position, and makes all of it visible.
    fn apply(&mut self, group: &[&Batch], last: Position) -> Result<()>;

    /// Makes what was applied survive a crash of the machine, if `apply` has not done so.
    fn sync(&mut self) -> Result<()>;

    /// How long applied batches may wait for [`Backend::sync`]; `None` when `apply` makes them durable at once.
    fn sync_interval(&self) -> Option<Duration>;

    /// Tidies up after the last write.
    fn close(self) -> Result<()>;
}

/// A handle to the writer's thread. The thread ends when the handle is dropped and the queue is empty.
pub(super) struct Writer {
    queue: Sender<Message>,
}

enum Message {
    Commit(Box<Pending>),
    Close(oneshot::Sender<()>),
}

/// A batch that waits for its position.
struct Pending {
    batch: Batch,
    /// Where slot 0 is, or why the batch is not written.
    position: Result<Position>,
    answer: oneshot::Sender<Result<Position>>,
}

impl Writer {
    /// Starts the thread; `last` is the newest position of what the backend holds.
    pub(super) fn start(backend: impl Backend, last: Position) -> Result<Self> {
        let (queue, messages) = mpsc::channel();
        thread::Builder::new()
            .name("storage-writer".to_owned())
            .spawn(move || Thread { backend, last, broken: None, unsynced_since: None }.run(&messages))
            .map_err(Error::internal)?;
        Ok(Self { queue })
    }

    pub(super) fn commit(&self, batch: Batch) -> Commit {
        let (answer, commit) = oneshot::channel();
        // A closed queue drops the answer, which the commit reports as a closed store.
        let pending = Pending { batch, position: Ok(Position::ZERO), answer };
        let _ = self.queue.send(Message::Commit(Box::new(pending)));
        Commit::new(commit)
    }

    /// Resolves when everything queued before the call is durable and the thread has let go of the backend.
    pub(super) async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        // Either fails only when the thread has ended already.
        if self.queue.send(Message::Close(answer)).is_ok() {
            let _ = closed.await;
        }
    }
}

struct Thread<B> {
    backend: B,
    last: Position,
    /// Why nothing is written any more. After a failed write nobody knows what is on the disk.
    broken: Option<String>,
    /// When the oldest write that may be lost in a crash was applied.
    unsynced_since: Option<Instant>,
}

impl<B: Backend> Thread<B> {
    fn run(mut self, messages: &Receiver<Message>) {
        let closing = loop {
            match self.next(messages) {
                Some(Message::Commit(first)) => {
                    let (group, closing) = gather(*first, messages);
                    self.commit(group);
                    if closing.is_some() {
                        break closing;
                    }
                }
                Some(Message::Close(answer)) => break Some(answer),
                None => break None,
            }
        };
        self.sync();
        if self.broken.is_none()
            && let Err(cause) = self.backend.close()
        {
            error!(%cause, "the data folder could not be tidied up; nothing is lost, the next start repeats the work");
        }
        if let Some(answer) = closing {
            let _ = answer.send(());
        }
    }

    /// Waits for the next message, syncing in between when it is due; `None` when no more will come.
    fn next(&mut self, messages: &Receiver<Message>) -> Option<Message> {
        loop {
            let (Some(since), Some(interval)) = (self.unsynced_since, self.backend.sync_interval()) else {
                return messages.recv().ok();
            };
            let wait = interval.saturating_sub(since.elapsed());
            if wait.is_zero() {
                self.sync();
                continue;
            }
            match messages.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn commit(&mut self, mut group: Vec<Pending>) {
        let last = self.place(&mut group);
        let accepted: Vec<_> = group.iter().filter(|it| it.position.is_ok()).map(|it| &it.batch).collect();
        if !accepted.is_empty() {
            match self.backend.apply(&accepted, last) {
                Ok(()) => {
                    self.last = last;
                    self.unsynced_since.get_or_insert_with(Instant::now);
                }
                Err(cause) => {
                    self.fail(&cause);
                    for it in group.iter_mut().filter(|it| it.position.is_ok()) {
                        it.position = Err(Error::internal(&cause));
                    }
                }
            }
        }
        group.into_iter().for_each(finish);
    }

    /// Decides in order which batches are written and at which positions, and answers with the last one.
    fn place(&self, group: &mut [Pending]) -> Position {
        let mut last = self.last;
        let mut overlay = Overlay::default();
        // Only expectations look back at the batches before them, and most groups have none.
        let looked_at = group.iter().skip(1).any(|it| it.batch.expectations().len() > 0);
        for it in group {
            it.position = self.admit(&mut it.batch, &overlay).map(|()| {
                let slots = it.batch.slot_count();
                let first = if slots == 0 { last } else { last.plus(1) };
                it.batch.stamp(first);
                last = last.plus(slots);
                first
            });
            if looked_at && it.position.is_ok() {
                overlay.add(&it.batch);
            }
        }
        last
    }

    fn admit(&self, batch: &mut Batch, overlay: &Overlay<'_>) -> Result<()> {
        if let Some(cause) = &self.broken {
            return Err(Error::internal(format_args!("the store takes no more writes: {cause}")));
        }
        if let Some(failure) = batch.take_failure() {
            return Err(failure);
        }
        for expected in batch.expectations() {
            let found = match overlay.get(expected.key) {
                Some(written) => written == expected.value,
                None => self.backend.read(expected.family, expected.key)?.as_deref() == expected.value,
            };
            if !found {
                return Err(Kind::Conflict.with("someone else wrote first"));
            }
        }
        Ok(())
    }

    fn sync(&mut self) {
        if self.unsynced_since.take().is_some()
            && self.broken.is_none()
            && let Err(cause) = self.backend.sync()
        {
            self.fail(&cause);
        }
    }

    fn fail(&mut self, cause: &Error) {
        error!(%cause, "writing to the data folder failed; nothing more is written until the server is restarted");
        self.broken = Some(cause.to_string());
    }
}

/// Takes whatever waits behind `first`, and the answer for a close that ended the queue.
fn gather(first: Pending, messages: &Receiver<Message>) -> (Vec<Pending>, Option<oneshot::Sender<()>>) {
    let mut size = first.batch.size();
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES && size < GROUP_BYTES {
        match messages.try_recv() {
            Ok(Message::Commit(next)) => {
                size += next.batch.size();
                group.push(*next);
            }
            Ok(Message::Close(answer)) => return (group, Some(answer)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// Runs the hooks of a written batch and resolves its commit.
fn finish(pending: Pending) {
    let Pending { mut batch, position, answer } = pending;
    if let Ok(position) = position {
        for hook in batch.take_hooks() {
            // A broken hook must not take the writer, and with it every later commit, down.
            if catch_unwind(AssertUnwindSafe(|| hook(position))).is_err() {
                error!(%position, "what was to happen when a commit became visible panicked");
            }
        }
    }
    // Nobody has to wait for the answer.
    let _ = answer.send(position);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::storage::{Family, Table};

    const NAMES: Table<(String,), String> = Table::new(60_000, "names", Family::Rows);

    /// A disk that works until it is full, and remembers what was asked of it.
    struct FullDisk {
        space: usize,
        log: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Backend for FullDisk {
        fn read(&self, _: Family, _: &[u8]) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn apply(&mut self, group: &[&Batch], _: Position) -> Result<()> {
            self.space = self.space.checked_sub(group.len()).ok_or_else(|| Error::internal("no space left"))?;
            self.log.lock().unwrap().push("apply");
            Ok(())
        }

        fn sync(&mut self) -> Result<()> {
            self.log.lock().unwrap().push("sync");
            Ok(())
        }

        fn sync_interval(&self) -> Option<Duration> {
            Some(Duration::from_secs(3600))
        }

        fn close(self) -> Result<()> {
            self.log.lock().unwrap().push("close");
            Ok(())
        }
    }

    fn full_after(space: usize) -> (Writer, Arc<Mutex<Vec<&'static str>>>) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let disk = FullDisk { space, log: Arc::clone(&log) };
        (Writer::start(disk, Position::from(10)).unwrap(), log)
    }

    fn batch(hooks: &Arc<Mutex<Vec<Position>>>) -> Batch {
        let mut batch = Batch::new();
        NAMES.put(&mut batch, ("a",), &String::new());
        let hooks = Arc::clone(hooks);
        batch.on_visible(move |position| hooks.lock().unwrap().push(position));
        batch
    }

    #[tokio::test]
    async fn after_a_failed_write_nothing_more_is_written() {
        let (writer, log) = full_after(1);
        let hooks = Arc::default();
        assert_eq!(writer.commit(batch(&hooks)).await.unwrap(), Position::from(11));
        for _ in 0..2 {
            let error = writer.commit(batch(&hooks)).await.unwrap_err();
            assert!(error.to_string().contains("no space left"), "{error}");
        }
        writer.close().await;
        assert_eq!(*log.lock().unwrap(), ["apply"], "what is on a failing disk is left alone");
        assert_eq!(*hooks.lock().unwrap(), [Position::from(11)]);
    }

    #[tokio::test]
    async fn closing_syncs_what_was_applied() {
        let (writer, log) = full_after(9);
        writer.commit(batch(&Arc::default())).await.unwrap();
        writer.close().await;
        assert_eq!(*log.lock().unwrap(), ["apply", "sync", "close"]);
    }

    #[tokio::test]
    async fn dropping_the_handle_ends_the_thread_after_the_queue() {
        let (writer, log) = full_after(9);
        let commit = writer.commit(batch(&Arc::default()));
        drop(writer);
        assert_eq!(commit.await.unwrap(), Position::from(11));
        assert_eq!(log.lock().unwrap()[0], "apply");
    }
}
