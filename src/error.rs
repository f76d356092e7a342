//! The one public error type. Every variant says what happened, where, and what can be done about it.

use std::panic::Location;
use std::path::PathBuf;

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whatever can go wrong in Folio because of a file, a disk, another process or the caller.
///
/// Bugs in Folio itself panic; everything else is one of these values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed. The `errno` is kept in `source`.
    #[error("{call} on {}: {source}", path.display())]
    Io {
        /// The system call, as the manual spells it: `open`, `pwritev`, `ftruncate`, `mmap`, `msync`, ...
        call: &'static str,
        /// The file it was made on.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The path names something that cannot be mapped: a pipe, a directory, a character device.
    #[error("{} is {found}, and a database must be a regular file", path.display())]
    NotAFile {
        /// The path as it was given.
        path: PathBuf,
        /// What stands there instead: "a directory", "a pipe", ...
        found: &'static str,
    },
    /// The file lies on a file system that does not keep what is mapped, written and locked together: a
    /// network file system, or one that a virtual machine shares with its host.
    #[error("{} is on {name}: a database cannot rely on its mappings and locks", path.display())]
    FileSystem {
        /// The path as it was given.
        path: PathBuf,
        /// The kind of file system, as `mount` calls it.
        name: &'static str,
    },
    /// The file has content, and that content is not a Folio database.
    #[error("{} is not a Folio database: {reason}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What was looked for and not found.
        reason: String,
    },
    /// The file needs something this version of Folio does not know.
    #[error("{what} {found:#x} is not supported by this version of Folio")]
    Unsupported {
        /// What is not known: "format version", "incompatible feature", "cell kind".
        what: &'static str,
        /// Its value in the file.
        found: u64,
    },
    /// Bytes in the file are not what they must be. Reading goes on elsewhere; `check` lists everything.
    #[error("page {page} is corrupted: {what} is {found}, expected {expected}")]
    Corrupted {
        /// The page's number; its bytes begin at page number times page size.
        page: u64,
        /// What is wrong, as a noun: "checksum", "birth", "slot offset".
        what: &'static str,
        /// What it should have been.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The database file does not exist. `options().create(true)` would make it.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The path as it was given.
        path: PathBuf,
    },
    /// `create` was asked for, and the file exists.
    #[error("{} exists already", path.display())]
    AlreadyExists {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file that the processes meet in is another one than those use who have the database open: it was
    /// deleted and made anew, or the database has a second name in another directory; or others meet there
    /// who have a file open that had this name before.
    #[error("{} is not the lock file of those who have the database open: close it everywhere first", path.display())]
    LockFileReplaced {
        /// The lock file that was found.
        path: PathBuf,
    },
    /// The file that the processes meet in cannot be made or written: the folder or the medium is read-only,
    /// or another user's.
    #[error(
        "the lock file {} cannot be written ({source}); a database that nobody writes can be opened without \
         one",
        path.display()
    )]
    NoLockFile {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the database open, and there is no way to share it: where the system has no locks
    /// for that, anywhere but on Linux, or since it shall be opened without a lock file.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// This process is a forked child of the one that opened the database, whose it still is.
    #[error("the database was opened by the process that this one was forked from: open it anew")]
    Forked,
    /// `try_begin_write` found another write transaction, or `begin_write_timeout` ran out of time.
    #[error("another write transaction is running")]
    WriterBusy,
    /// The database was opened for reading only.
    #[error("the database is open for reading only")]
    ReadOnly,
    /// The file is shorter than its pages: somebody else truncated it.
    #[error("{} has {found} bytes, but its pages need {expected}: it was truncated from outside", path.display())]
    Truncated {
        /// The database file.
        path: PathBuf,
        /// Bytes that the pages of the database take.
        expected: u64,
        /// Bytes that the file has.
        found: u64,
    },
    /// A key is longer than the page size allows.
    #[error("a key of {len} bytes is longer than the {max} that this database can hold")]
    KeyTooLong {
        /// Bytes of the key, encoded.
        len: usize,
        /// The most that the page size allows.
        max: usize,
    },
    /// A value is longer than 4 GiB - 1.
    #[error("a value of {len} bytes is longer than the {max} that can be stored")]
    ValueTooLong {
        /// Bytes of the value, encoded.
        len: usize,
        /// The most there can be.
        max: usize,
    },
    /// [`append`](crate::TableMut::append) was called with a key that is not greater than all keys of the
    /// table.
    #[error("the key does not come behind all others of the table, where it was to be appended")]
    NotAscending,
    /// A table's name is empty or too long.
    #[error("{name:?} cannot name a table: {reason}")]
    TableName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file would have to grow, because a reader keeps more from being used again than
    /// [`OpenOptions::refuse_pinned`](crate::OpenOptions::refuse_pinned) allows. As with a full disk, nothing
    /// is changed, and transactions that free what they take go on.
    #[error(
        "the file must not grow: a reader of transaction {txn} pins {pinned} bytes, and the limit is {limit} \
         (the list of readers says whose it is)"
    )]
    PinLimit {
        /// The transaction whose snapshot is read.
        txn: u64,
        /// Bytes that were freed since and that the snapshot still needs.
        pinned: u64,
        /// The limit.
        limit: u64,
    },
    /// The table holds other types than it was opened with.
    #[error("table {table:?} holds {found}, but was opened as {expected}")]
    TableTypeMismatch {
        /// The table's name.
        table: String,
        /// The key and value types it was opened with, as `key -> value`.
        expected: String,
        /// The key and value types it was made with.
        found: String,
    },
    /// The table is open for writing already, in the same transaction.
    #[error("table {table:?} is open already, since {at}")]
    TableInUse {
        /// The table's name.
        table: String,
        /// Where it was opened.
        at: &'static Location<'static>,
    },
    /// There is no table of this name.
    #[error("there is no table {table:?}")]
    NoSuchTable {
        /// The name that was asked for.
        table: String,
    },
    /// Stored bytes are not a value of the type they are read as.
    #[error("stored bytes are not a {type_name}: {reason}")]
    Decode {
        /// The type, as it is recorded in the catalog.
        type_name: String,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// Text cannot be read as an item of a type: what [`parse_key`](crate::types::parse_key) and
    /// [`parse_value`](crate::types::parse_value) were given.
    #[error("{text:?} is not a {type_name}: {reason}")]
    Parse {
        /// The type, as it is recorded in the catalog.
        type_name: String,
        /// The text.
        text: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// An earlier failure in this transaction left it half-done. It can only be dropped.
    #[error("the transaction is poisoned by an earlier error: {reason}")]
    Poisoned {
        /// The earlier error.
        reason: String,
    },
    /// An earlier write or sync failed, in this process or another, and what the disk holds is unknown. To
    /// write again, open the database anew, after everybody who could write to it has closed it.
    #[error(
        "writing has ended because of an earlier failure ({reason}): to write again, close the database in \
         all processes that write to it, and open it anew"
    )]
    WritingEnded {
        /// The earlier failure.
        reason: String,
    },
    /// A sync failed: the commit may or may not be durable. Writing ends until the database is opened anew.
    #[error("the sync of transaction {txn} failed, its outcome is unknown: {source}")]
    OutcomeUnknown {
        /// The transaction.
        txn: u64,
        /// What the sync answered.
        source: Box<Error>,
    },
    /// There is no such transaction to wait for: it has not been committed.
    #[error("transaction {txn} is not committed: the newest that is has number {newest}")]
    NotCommitted {
        /// The transaction that was asked for.
        txn: u64,
        /// The newest commit.
        newest: u64,
    },
    /// A limit of the format is reached: 2^48 pages, or a tree of 32 levels.
    #[error("the database is full: {what}")]
    Full {
        /// Which limit.
        what: &'static str,
    },
    /// An option's value cannot be used.
    #[error("{option} cannot be {value}: {reason}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// The value that was given.
        value: String,
        /// What it must be.
        reason: &'static str,
    },
    /// The caller's own error, from a closure given to `read` or `write`. The transaction was aborted.
    #[error("aborted: {0}")]
    Aborted(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of the caller's own, to leave a `read` or `write` closure with it.
    pub fn aborted(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Aborted(source.into())
    }

    /// A system call's failure on `path`.
    pub(crate) fn io(call: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Error::Io { call, path: path.to_owned(), source }
    }

    /// Bytes of `page` that are not what they must be.
    #[cold]
    pub(crate) fn corrupted(
        page: u64,
        what: &'static str,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        Error::Corrupted { page, what, expected: expected.to_string(), found: found.to_string() }
    }

    /// Whether the system said that there is no room: `ENOSPC`, `EDQUOT` or `EFBIG`.
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
            }
            Error::PinLimit { .. } => true,
            Error::OutcomeUnknown { source, .. } => source.is_out_of_space(),
            _ => false,
        }
    }
}
