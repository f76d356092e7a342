//! Words that everybody shares who has a database open: in the lock file, or in this process alone.
//!
//! - Every access is an atomic load or store, so nothing that others write into them is undefined behaviour.
//!   They are as untrusted as the file: whoever reads a number checks what it does with it.
//! - Blocks that were [made](Words::make) have written bytes behind them: a full disk is an error then, and
//!   no signal later, where the file system writes in place (docs/DURABILITY.md, "What it rests on").

#![expect(unsafe_code, reason = "atomic words in a mapping that processes share")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use super::fork::Watch;
use super::sys;

/// Words of a block: 4,096 bytes.
pub(crate) const BLOCK_WORDS: usize = 512;
const BLOCK_LEN: u64 = (BLOCK_WORDS * size_of::<AtomicU64>()) as u64;
/// Blocks that there can be: 64 MiB.
pub(crate) const BLOCKS_MAX: usize = 1 << 14;

/// Blocks that are there from the beginning: what everybody looks at, and the slots of one process's readers.
/// So whoever could open the database alone can read it.
pub(super) const BLOCKS_MIN: u64 = 2;

/// A block. Its words begin as zeros.
pub(crate) type Block = [AtomicU64; BLOCK_WORDS];

/// See the module.
#[derive(Debug)]
pub(crate) enum Words {
    /// Of one process, on the heap.
    Own(Box<[OnceLock<Box<Block>>]>),
    /// Of all processes that map the file.
    Shared {
        // Dropped before the file is closed.
        _watch: Watch,
        file: File,
        raw: MmapRaw,
    },
}

impl Words {
    /// Words of this process alone.
    pub(crate) fn own() -> Words {
        Words::Own((0..BLOCKS_MAX).map(|_| OnceLock::new()).collect())
    }

    /// Words in a file, which whoever truncates it takes away from under all processes.
    pub(super) fn shared(file: File) -> io::Result<Words> {
        let len = BLOCKS_MAX * BLOCK_WORDS * size_of::<AtomicU64>();
        let watch = Watch::new(&file);
        let raw = MmapOptions::new().len(len).no_reserve_swap().map_raw(&file)?;
        // A mapping keeps the file open, and so the locks: a forked child must not have one.
        #[cfg(target_os = "linux")]
        raw.advise(memmap2::Advice::DontFork)?;
        Ok(Words::Shared { _watch: watch, file, raw })
    }

    /// Makes block `number` zeros, with written bytes behind them. For who owns it: no other block is
    /// touched, since others may be making theirs, and have begun to use them. The first ones are there:
    /// [`clear`](Self::clear).
    pub(crate) fn make(&self, number: usize) -> io::Result<()> {
        match self {
            Words::Shared { file, .. } if number as u64 >= BLOCKS_MIN => {
                write_zeros(file, number as u64 * BLOCK_LEN)
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody has made something of the words: the first one is not zero then.
    pub(super) fn is_begun(&self) -> io::Result<bool> {
        let is_there = match self {
            Words::Shared { file, .. } => file.metadata()?.len() >= BLOCKS_MIN * BLOCK_LEN,
            Words::Own(_) => true,
        };
        // Acquire: what was made of them is seen.
        Ok(is_there && self.block(0)[0].load(Ordering::Acquire) != 0)
    }

    /// Makes the first blocks zeros, and takes all others away.
    ///
    /// What is there is written over: whoever could open the file once can do so on a full disk.
    pub(super) fn clear(&self) -> io::Result<()> {
        let Words::Shared { file, .. } = self else { return Ok(()) };
        if file.metadata()?.len() > BLOCKS_MIN * BLOCK_LEN {
            file.set_len(BLOCKS_MIN * BLOCK_LEN)?;
        }
        (0..BLOCKS_MIN).try_for_each(|number| write_zeros(file, number * BLOCK_LEN))
    }

    /// Block `number`, which must have been made, or lie before one that was.
    #[inline]
    pub(crate) fn block(&self, number: usize) -> &Block {
        match self {
            Words::Own(blocks) => {
                let new = || Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
                blocks[number].get_or_init(new)
            }
            Words::Shared { raw, .. } => {
                assert!(number < BLOCKS_MAX, "block {number} is behind the mapping");
                // SAFETY: the block is inside the mapping: the line above.
                let first = unsafe { raw.as_mut_ptr().cast::<Block>().add(number) };
                // SAFETY: mapped as long as `self` lives, aligned as mappings are, and nothing but atomic
                // operations touches it in any process; there are bytes of the file behind it: the contract
                // of `make`.
                unsafe { &*first }
            }
        }
    }
}

/// Written, not truncated to: so there is room on the disk for what is stored through the mapping.
fn write_zeros(file: &File, at: u64) -> io::Result<()> {
    if at + BLOCK_LEN > sys::file_size_limit() {
        // The kernel would say the same, but with a signal that ends the process.
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    file.write_all_at(&[0; BLOCK_WORDS * size_of::<AtomicU64>()], at)
}
