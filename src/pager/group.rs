//! Who syncs for whom, among the threads of one process: the last one that is expected leads, and the others
//! find their work done.
//!
//! Threads that commit again and again would else sync two or three at a time: those who come while a sync
//! runs, and those whom it has woken.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::page::TxnId;

/// How long a sync waits for others to join it: about as long as it takes itself.
const JOIN_MAX: Duration = Duration::from_micros(100);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Group {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What each thread waits for, that of the one that leads included.
    waiting: Vec<TxnId>,
    /// So many waited when the last sync ended: as a rule those that it has let go come back. Nobody waits
    /// for others where nobody else waited.
    expected: usize,
    is_led: bool,
}

impl State {
    fn remove(&mut self, txn: TxnId) {
        if let Some(at) = self.waiting.iter().position(|other| *other == txn) {
            self.waiting.swap_remove(at);
        }
    }
}

/// The right to sync, of one thread at a time.
#[derive(Debug)]
pub(super) struct Lead<'g> {
    group: &'g Group,
    txn: TxnId,
    /// What is durable when it ends, if it ends well.
    durable: Option<TxnId>,
}

impl Group {
    /// Waits until transaction `txn` is durable, as `is_done` says, or this thread has to see to it.
    pub(super) fn join(&self, txn: TxnId, is_done: impl Fn() -> bool) -> Option<Lead<'_>> {
        let mut state = self.state.lock();
        state.waiting.push(txn);
        let (mut until, mut is_late) = (None, false);
        while !is_done() {
            if state.is_led {
                (until, is_late) = (None, false);
                self.changed.wait(&mut state);
            } else if is_late || state.waiting.len() >= state.expected {
                state.is_led = true;
                return Some(Lead { group: self, txn, durable: None });
            } else {
                let until = *until.get_or_insert_with(|| Instant::now() + JOIN_MAX);
                is_late = self.changed.wait_until(&mut state, until).timed_out();
            }
        }
        state.remove(txn);
        None
    }
}

impl Lead<'_> {
    /// Lets those go on whose commits are durable now.
    pub(super) fn end(mut self, durable: TxnId) {
        self.durable = Some(durable);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let Lead { group, txn, durable } = self;
        let mut state = group.state.lock();
        // After a failure everybody finds it out at once.
        state.expected = durable.map_or(0, |_| state.waiting.len());
        state.remove(*txn);
        // Now, not when they wake: who leads next must not take them for some who wait for the next sync.
        state.waiting.retain(|txn| durable.is_none_or(|durable| *txn > durable));
        state.is_led = false;
        group.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn whoever_is_alone_leads_at_once_and_after_a_failure_everybody() {
        let group = Group::default();
        assert!(group.join(TxnId(1), || true).is_none() && group.state.lock().waiting.is_empty());
        for expected in [0, 1, 3] {
            group.state.lock().expected = expected;
            // Two of the three do not come: then it leads all the same.
            group.join(TxnId(2), || false).unwrap().end(TxnId(2));
            let state = group.state.lock();
            assert_eq!((state.expected, state.waiting.len(), state.is_led), (1, 0, false));
        }
        drop(group.join(TxnId(3), || false));
        let state = group.state.lock();
        assert_eq!((state.expected, state.waiting.len(), state.is_led), (0, 0, false));
    }

    #[test]
    fn those_who_come_during_a_sync_are_expected_and_those_it_covers_are_gone() {
        let group = Group::default();
        let lead = group.join(TxnId(5), || false).unwrap();
        group.state.lock().waiting.extend([TxnId(4), TxnId(6), TxnId(7)]);
        lead.end(TxnId(6));
        let state = group.state.lock();
        assert_eq!((state.expected, &state.waiting[..], state.is_led), (4, &[TxnId(7)][..], false));
    }

    #[test]
    fn one_leads_at_a_time_and_everybody_gets_what_it_waits_for() {
        let (group, next, durable) = (Group::default(), AtomicU64::new(1), AtomicU64::new(0));
        let (leading, syncs) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let txn = next.fetch_add(1, Ordering::SeqCst);
                        if let Some(lead) = group.join(TxnId(txn), || durable.load(Ordering::SeqCst) >= txn) {
                            assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0);
                            let newest = next.load(Ordering::SeqCst) - 1;
                            thread::yield_now();
                            durable.store(newest, Ordering::SeqCst);
                            syncs.fetch_add(1, Ordering::SeqCst);
                            leading.fetch_sub(1, Ordering::SeqCst);
                            lead.end(TxnId(newest));
                        }
                        assert!(durable.load(Ordering::SeqCst) >= txn);
                    }
                });
            }
        });
        assert!(group.state.lock().waiting.is_empty() && syncs.load(Ordering::SeqCst) <= 2000);
    }
}
