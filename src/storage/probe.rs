//! Where a simulated disk takes part: every call that changes or reads a file passes through here.
//!
//! - Without the simulation (neither a test nor the feature) a [`Probe`] is nothing and its methods only call
//!   on.
//! - With it, a probe may carry a recorder, which writes down what happens and may let a call fail.

use std::io::{self, IoSlice};

#[cfg(any(test, feature = "simulation"))]
use std::sync::Arc;

#[cfg(any(test, feature = "simulation"))]
use crate::storage::sim::Recorder;

/// A kind of call, to say which shall fail and to count them.
#[cfg_attr(
    not(any(test, feature = "simulation")),
    expect(dead_code, reason = "some calls are named by the simulated disk alone")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A `pread`.
    Read,
    /// One `pwritev` of at most 1 MiB.
    Write,
    /// One write of at most 64 KiB of zeros at the end of the file, or the making of blocks there.
    Grow,
    /// A change of the file's length by itself.
    Truncate,
    /// A sync, by whatever call.
    Sync,
    /// The making of a mapping.
    Map,
    /// The taking of a lock.
    Lock,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Probe {
    #[cfg(any(test, feature = "simulation"))]
    pub(super) recorder: Option<Arc<Recorder>>,
}

impl Probe {
    /// A call that changes nothing: `Read`, `Map` or `Lock`.
    pub(super) fn pass<R>(&self, call: Call, real: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        #[cfg(any(test, feature = "simulation"))]
        if let Some(recorder) = &self.recorder {
            return recorder.pass(call, real);
        }
        let _ = call;
        real()
    }

    /// A write of `bufs` at an offset; both are handed on, possibly less of them.
    pub(super) fn write(
        &self,
        call: Call,
        bufs: &[IoSlice<'_>],
        offset: u64,
        real: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
    ) -> io::Result<usize> {
        #[cfg(any(test, feature = "simulation"))]
        if let Some(recorder) = &self.recorder {
            return recorder.write(call, bufs, offset, real);
        }
        let _ = call;
        let mut real = real;
        real(bufs, offset)
    }

    /// A new length of the file: `Truncate`, or `Grow` where its content stays.
    pub(super) fn set_len(
        &self,
        call: Call,
        len: u64,
        real: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        #[cfg(any(test, feature = "simulation"))]
        if let Some(recorder) = &self.recorder {
            return recorder.set_len(call, len, real);
        }
        let _ = (call, len);
        real()
    }

    /// A sync of everything below `end`, or of the whole file.
    pub(super) fn sync(&self, end: Option<u64>, real: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        #[cfg(any(test, feature = "simulation"))]
        if let Some(recorder) = &self.recorder {
            return recorder.sync(end, real);
        }
        let _ = end;
        real()
    }
}
