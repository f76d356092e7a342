//! SQLite, with a table that is one B-tree from key to value.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use rusqlite::{CachedStatement, Connection, Rows};

use super::package_version;
use crate::engine::{Durability, Engine, Options, Reader, Session, Writer};

const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS data (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";
const GET: &str = "SELECT value FROM data WHERE key = ?";
const RANGE: &str = "SELECT key, value FROM data WHERE key >= ? ORDER BY key LIMIT ?";
const SCAN: &str = "SELECT key, value FROM data ORDER BY key";
const PUT: &str = "INSERT OR REPLACE INTO data VALUES (?, ?)";
const REMOVE: &str = "DELETE FROM data WHERE key = ?";

pub(crate) struct Sqlite {
    path: PathBuf,
    options: Options,
    /// One session at a time uses this one. The others, in other threads, have connections of their own.
    main: Mutex<Connection>,
}

pub(crate) enum SqliteSession<'e> {
    Main(MutexGuard<'e, Connection>),
    Own(Connection),
}

pub(crate) struct SqliteReader<'t> {
    connection: &'t Connection,
    get: CachedStatement<'t>,
}

pub(crate) struct SqliteWriter<'t> {
    connection: &'t Connection,
    put: CachedStatement<'t>,
}

impl Engine for Sqlite {
    const NAME: &'static str = "sqlite";
    const SETTINGS: &'static str = "WITHOUT ROWID; write-ahead log; synchronous = FULL, buffered = OFF; 4 \
        KiB pages; cache 1 GiB; mmap 4 GiB as far as it goes; cached statements; a connection a thread";

    type Session<'e> = SqliteSession<'e>;

    fn open(dir: &Path, options: &Options) -> Result<Self> {
        let path = dir.join("data.sqlite");
        let main = connect(&path, options)?;
        main.execute(CREATE, [])?;
        Ok(Sqlite { path, options: *options, main: Mutex::new(main) })
    }

    fn session(&self) -> Result<SqliteSession<'_>> {
        match self.main.try_lock() {
            Ok(main) => Ok(SqliteSession::Main(main)),
            Err(_) => Ok(SqliteSession::Own(connect(&self.path, &self.options)?)),
        }
    }

    fn live_bytes(&self) -> Result<Option<u64>> {
        let session = self.session()?;
        let pragma = |name: &str| -> Result<u64> {
            let number: i64 = session.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            Ok(u64::try_from(number)?)
        };
        Ok(Some((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?))
    }

    fn close(self) -> Result<()> {
        match self.main.into_inner() {
            Ok(main) => main.close().map_err(|(_, error)| error.into()),
            Err(_) => anyhow::bail!("a thread panicked with the connection in its hands"),
        }
    }

    fn version() -> String {
        format!("SQLite {} (rusqlite {})", rusqlite::version(), package_version("rusqlite"))
    }
}

fn connect(path: &Path, options: &Options) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match options.durability {
        Durability::Durable => "FULL",
        Durability::Buffered => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Negative: in KiB.
    let cache_kib = i64::try_from(options.cache_bytes.unwrap_or(1 << 30) >> 10)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    // A mapping would be read ahead.
    let mapped = if options.larger_than_memory { 0 } else { 4_i64 << 30 };
    connection.pragma_update(None, "mmap_size", mapped)?;
    Ok(connection)
}

impl Deref for SqliteSession<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            SqliteSession::Main(main) => main,
            SqliteSession::Own(own) => own,
        }
    }
}

impl Session for SqliteSession<'_> {
    type Reader<'t> = SqliteReader<'t>;
    type Writer<'t> = SqliteWriter<'t>;

    #[inline]
    fn read<T>(&mut self, body: impl FnOnce(&mut SqliteReader<'_>) -> Result<T>) -> Result<T> {
        let connection: &Connection = self;
        connection.prepare_cached("BEGIN")?.execute([])?;
        let result = body(&mut SqliteReader { connection, get: connection.prepare_cached(GET)? })?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(result)
    }

    #[inline]
    fn write<T>(&mut self, body: impl FnOnce(&mut SqliteWriter<'_>) -> Result<T>) -> Result<T> {
        let connection: &Connection = self;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let result = body(&mut SqliteWriter { connection, put: connection.prepare_cached(PUT)? })?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(result)
    }
}

/// Shows all rows of a key and a value.
fn each(mut rows: Rows<'_>, mut see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        see(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        seen += 1;
    }
    Ok(seen)
}

impl Reader for SqliteReader<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool> {
        let mut rows = self.get.query([key])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        see(row.get_ref(0)?.as_blob()?);
        Ok(true)
    }

    #[inline]
    fn range(&mut self, from: &[u8], limit: u64, see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        each(self.connection.prepare_cached(RANGE)?.query((from, i64::try_from(limit)?))?, see)
    }

    #[inline]
    fn scan(&mut self, see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        each(self.connection.prepare_cached(SCAN)?.query([])?, see)
    }
}

impl Writer for SqliteWriter<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put.execute((key, value))?;
        Ok(())
    }

    #[inline]
    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.connection.prepare_cached(REMOVE)?.execute([key])?;
        Ok(())
    }
}
