//! What the handles of one open database share: its pager, and the thread that syncs background commits.
//!
//! A file that is opened again in the same process, by whatever name, is the same instance: the registry
//! knows those that live by device and inode.
//!
//! The thread starts with the first background commit or checkpoint and ends before the pager is closed. It
//! sleeps until the earliest time by which some commit has to be synced; one sync then serves all commits so
//! far.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::Result;
use crate::inspect;
use crate::options::PinWarning;
use crate::page::TxnId;
use crate::pager::Pager;
use crate::storage::{Access, Storage, without_forks};

/// See the module.
#[derive(Debug)]
pub(crate) struct Instance {
    syncer: Syncer,
    warning: Option<PinWarning>,
    /// Of which snapshot somebody was told, and how much it pinned.
    warned: Mutex<(TxnId, u64)>,
    /// The durable transaction for which the thread was last asked for a checkpoint.
    checkpointed: AtomicU64,
    pager: Arc<Pager>,
}

/// What file an instance is of, in which process, and whether it can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    file: [u64; 3],
    access: Access,
}

impl Identity {
    pub(crate) fn of(storage: &Storage) -> Result<Identity> {
        Ok(Identity { file: storage.identity()?, access: storage.access() })
    }
}

/// The instances that live.
static REGISTRY: Mutex<Vec<(Identity, Weak<Instance>)>> = Mutex::new(Vec::new());

/// The instance of that file, if one lives.
pub(crate) fn registered(identity: Identity) -> Option<Arc<Instance>> {
    without_forks(|| find(&REGISTRY.lock(), identity))
}

/// Makes the instance the one of that file; or drops it, if another was faster.
pub(crate) fn register(identity: Identity, instance: Arc<Instance>) -> Arc<Instance> {
    let faster = without_forks(|| {
        let mut registry = REGISTRY.lock();
        registry.retain(|(_, instance)| instance.strong_count() > 0);
        let faster = find(&registry, identity);
        if faster.is_none() {
            registry.push((identity, Arc::downgrade(&instance)));
        }
        faster
    });
    faster.unwrap_or(instance)
}

fn find(registry: &[(Identity, Weak<Instance>)], identity: Identity) -> Option<Arc<Instance>> {
    registry.iter().find(|(other, _)| *other == identity)?.1.upgrade()
}

impl Instance {
    pub(crate) fn new(pager: Arc<Pager>, warning: Option<PinWarning>) -> Instance {
        Instance {
            syncer: Syncer::default(),
            warning,
            warned: Mutex::default(),
            checkpointed: AtomicU64::new(u64::MAX),
            pager,
        }
    }

    /// A commit has found that a snapshot pins so many bytes: whoever wants to know is told.
    pub(crate) fn warn_of_pinned(&self, txn: TxnId, bytes: u64) -> Result<()> {
        let Some(warning) = self.warning.as_ref().filter(|warning| bytes > warning.bytes) else {
            return Ok(());
        };
        {
            let mut warned = self.warned.lock();
            let (before, told) = *warned;
            if before == txn && bytes < told.saturating_mul(2) {
                return Ok(());
            }
            *warned = (txn, bytes);
        }
        let readers = inspect::readers(&self.pager)?;
        // It may have ended since.
        if let Some(reader) = readers.iter().find(|reader| reader.txn == txn.0) {
            (warning.tell)(reader);
        }
        Ok(())
    }

    pub(crate) fn pager(&self) -> &Arc<Pager> {
        &self.pager
    }

    /// Has transaction `txn`, and all before it, synced after `delay` at the latest. Returns at once; but
    /// where no thread can be had, syncs now.
    pub(crate) fn sync_within(&self, txn: TxnId, delay: Duration) -> Result<()> {
        // A time that the clock cannot show does not come.
        let Some(due) = Instant::now().checked_add(delay) else { return Ok(()) };
        match self.syncer.schedule(&self.pager, txn, due) {
            Ok(()) => Ok(()),
            Err(error) => {
                let path = self.pager.storage().path().display();
                log::warn!("{path}: no thread for background commits ({error}), syncing at once");
                self.pager.sync_to(txn)
            }
        }
    }

    /// Has transaction `txn`, and all before it, synced by the thread while others commit: so hardly any
    /// commit waits for a checkpoint. The longest of 50,000 single insertions into a million entries took 2
    /// to 15 ms this way, and 115 before; all of them 0.8 to 1.0 of the time.
    pub(crate) fn checkpoint(&self, txn: TxnId) -> Result<()> {
        if !self.pager.storage().is_on_disk() {
            // There is nothing to wait for, and what a simulated disk does is the same each time.
            return Ok(());
        }
        let durable = self.pager.durable();
        // Relaxed: asked twice, the thread finds its work done.
        if self.checkpointed.swap(durable, Ordering::Relaxed) == durable {
            return Ok(());
        }
        self.sync_within(txn, Duration::ZERO)
    }

    /// Ends the thread, and closes in good order.
    pub(crate) fn close(mut self) -> Result<()> {
        self.end_thread();
        self.pager.close()
    }

    /// The thread has the pager too, which is closed when the last who has it is gone.
    fn end_thread(&mut self) {
        // A forked child has no such thread, and perhaps its locks, locked for ever.
        if self.pager.check_process().is_ok() {
            self.syncer.end();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end_thread();
    }
}

/// The thread and what it has to do.
#[derive(Debug, Default)]
struct Syncer {
    schedule: Arc<Schedule>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What has to be synced, and when.
#[derive(Debug, Default)]
struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// When the next sync has to begin, if one has to.
    due: Option<Instant>,
    /// The newest transaction that it has to cover.
    txn: TxnId,
    ending: bool,
}

impl Syncer {
    fn schedule(&self, pager: &Arc<Pager>, txn: TxnId, due: Instant) -> io::Result<()> {
        self.start(pager)?;
        let mut state = self.schedule.state.lock();
        state.txn = state.txn.max(txn);
        if state.due.is_none_or(|earlier| due < earlier) {
            state.due = Some(due);
            self.schedule.changed.notify_one();
        }
        Ok(())
    }

    /// Starts the thread if it does not run.
    fn start(&self, pager: &Arc<Pager>) -> io::Result<()> {
        let mut thread = self.thread.lock();
        if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        let (schedule, pager) = (Arc::clone(&self.schedule), Arc::clone(pager));
        let work = move || {
            while let Some(txn) = schedule.wait_until_due() {
                if let Err(error) = pager.sync_to(txn) {
                    // Whoever waits for the commit, and whoever commits next, gets an error of their own.
                    log::error!("{}: syncing in the background: {error}", pager.storage().path().display());
                }
            }
        };
        *thread = Some(thread::Builder::new().name("folio-sync".to_owned()).spawn(work)?);
        Ok(())
    }

    fn end(&mut self) {
        self.schedule.state.lock().ending = true;
        self.schedule.changed.notify_one();
        if let Some(thread) = self.thread.get_mut().take() {
            // Its panic, a bug, was reported when it happened; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}

impl Schedule {
    /// The transaction that has to be synced now; none when the thread has to end. What is not synced then,
    /// closing syncs.
    fn wait_until_due(&self) -> Option<TxnId> {
        let mut state = self.state.lock();
        while !state.ending {
            match state.due {
                None => self.changed.wait(&mut state),
                Some(due) if Instant::now() < due => {
                    self.changed.wait_until(&mut state, due);
                }
                Some(_) => {
                    // Before the sync begins: what is committed while it runs asks again.
                    state.due = None;
                    return Some(state.txn);
                }
            }
        }
        None
    }
}
