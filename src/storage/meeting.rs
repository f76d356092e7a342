//! Where those meet who have a file open: shared words, and locks that the kernel gives back when a process
//! ends. Who has a file that nobody else can open meets nobody: the same words, and no locks.

use std::io;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::lock_file::{Door, LockFile, Others};
use super::sys;
use super::words::{Block, Words};
use crate::error::{Error, Result};

/// See the module. Dropping it leaves.
#[derive(Debug)]
pub(crate) struct Meeting {
    words: Words,
    lock_file: Option<LockFile>,
}

/// A lock among processes, held. Threads of one process keep each other out elsewhere.
#[derive(Debug)]
pub(crate) struct Held<'m>(Option<(&'m LockFile, u64)>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some((lock_file, byte)) = self.0 {
            lock_file.unlock(byte);
        }
    }
}

/// The leader's lock, that on the head record, and the line of those who want to write; the locks on blocks
/// follow.
const LEADER: u64 = 0;
const HEAD_RECORD: u64 = 1;
const WRITERS: u64 = 2;
pub(super) const BLOCKS: u64 = 16;

impl Meeting {
    /// Of this process alone.
    pub(crate) fn alone() -> Meeting {
        Meeting { words: Words::own(), lock_file: None }
    }

    /// With whoever is in. The words are zeros if that is nobody.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nobody meets: see `Storage::meet`"))]
    pub(super) fn with((lock_file, words): (LockFile, Words)) -> Meeting {
        Meeting { words, lock_file: Some(lock_file) }
    }

    /// Whether other processes can come in.
    pub(crate) fn is_public(&self) -> bool {
        self.lock_file.is_some()
    }

    /// Block `number`, which must have been made, or lie before one that was.
    #[inline]
    pub(crate) fn block(&self, number: usize) -> &Block {
        self.words.block(number)
    }

    /// Makes block `number`, which this process has claimed, zeros.
    pub(crate) fn make(&self, number: usize) -> Result<()> {
        self.words.make(number).map_err(|error| self.error("pwrite", error))
    }

    /// Who else is in. Ask behind the door, or it may have changed.
    pub(crate) fn others(&self) -> Result<Others> {
        self.lock_file.as_ref().map_or(Ok(Others::Nobody), LockFile::others)
    }

    /// Counts from now on as one that cannot write. Behind the door.
    pub(crate) fn stop_writing(&self) {
        if let Some(lock_file) = &self.lock_file {
            lock_file.stop_writing();
        }
    }

    /// Waits for the door: nobody else comes or goes while it is held.
    pub(crate) fn door(&self) -> Result<Option<Door<'_>>> {
        self.lock_file.as_ref().map(LockFile::door).transpose()
    }

    /// Lets go of the door that coming in has taken.
    pub(crate) fn close_door(&self) {
        if let Some(lock_file) = &self.lock_file {
            lock_file.close_door();
        }
    }

    /// Waits for the leader's lock.
    pub(crate) fn leader(&self) -> Result<Held<'_>> {
        self.hold(LEADER)
    }

    /// Waits for the lock on the head record.
    pub(crate) fn head_record(&self) -> Result<Held<'_>> {
        self.hold(HEAD_RECORD)
    }

    /// Waits until nobody is before this process in the line of those who want to write.
    pub(crate) fn writers(&self) -> Result<Held<'_>> {
        self.hold(WRITERS)
    }

    /// The same if nobody is.
    pub(crate) fn try_writers(&self) -> Result<Option<Held<'_>>> {
        let Some(lock_file) = &self.lock_file else { return Ok(Some(Held(None))) };
        let taken = lock_file.lock(WRITERS, false).map_err(|error| self.error("fcntl", error))?;
        Ok(taken.then_some(Held(Some((lock_file, WRITERS)))))
    }

    fn hold(&self, byte: u64) -> Result<Held<'_>> {
        let Some(lock_file) = &self.lock_file else { return Ok(Held(None)) };
        lock_file.lock(byte, true).map_err(|error| self.error("fcntl", error))?;
        Ok(Held(Some((lock_file, byte))))
    }

    /// Takes block `number` for this process, if no other has it. It keeps it until it ends, or releases it.
    pub(crate) fn claim_block(&self, number: usize) -> Result<bool> {
        let Some(lock_file) = &self.lock_file else { return Ok(true) };
        lock_file.lock(BLOCKS + number as u64, false).map_err(|error| self.error("fcntl", error))
    }

    /// Whether another process has block `number`.
    pub(crate) fn is_block_claimed(&self, number: usize) -> Result<bool> {
        let Some(lock_file) = &self.lock_file else { return Ok(false) };
        lock_file.is_locked(BLOCKS + number as u64).map_err(|error| self.error("fcntl", error))
    }

    pub(crate) fn release_block(&self, number: usize) {
        if let Some(lock_file) = &self.lock_file {
            lock_file.unlock(BLOCKS + number as u64);
        }
    }

    /// Waits until somebody [wakes](Self::wake) those who wait for `word`, or `limit` is over; not at all if
    /// the word's low half is not `expected`. May return for no reason.
    pub(crate) fn wait(&self, word: &AtomicU64, expected: u32, limit: Duration) {
        sys::wait(word, expected, limit);
    }

    /// Wakes all who wait for `word`, in all processes.
    pub(crate) fn wake(&self, word: &AtomicU64) {
        sys::wake(word);
    }

    fn error(&self, call: &'static str, source: io::Error) -> Error {
        let path = self.lock_file.as_ref().map_or(std::path::Path::new(super::MEMORY), LockFile::path);
        Error::io(call, path, source)
    }
}
