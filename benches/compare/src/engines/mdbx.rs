//! libmdbx, through its C interface: the Rust bindings of today either hand writes to a thread of their own
//! or bring an old version.

#![expect(unsafe_code, reason = "a C interface")]

use std::ffi::{CStr, CString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use anyhow::{Result, anyhow};
use signet_mdbx_sys as sys;

use super::package_version;
use crate::engine::{Durability, Engine, Options, Reader, Session, Writer};

pub(crate) struct Mdbx {
    env: *mut sys::MDBX_env,
    dbi: sys::MDBX_dbi,
}

// SAFETY: an environment may be used by all threads.
unsafe impl Send for Mdbx {}
// SAFETY: as above.
unsafe impl Sync for Mdbx {}

/// A transaction that ends when it is dropped, unless it was committed. It stays in its thread.
struct Txn(*mut sys::MDBX_txn);

pub(crate) struct MdbxSession<'e>(&'e Mdbx);
pub(crate) struct MdbxReader<'t>(&'t Txn, sys::MDBX_dbi);
pub(crate) struct MdbxWriter<'t>(&'t Txn, sys::MDBX_dbi);

impl Engine for Mdbx {
    const NAME: &'static str = "mdbx";
    const SETTINGS: &'static str = "default flags; geometry up to 16 GiB, default growth; 4 KiB pages; the \
        unnamed database; buffered = MDBX_UTTERLY_NOSYNC; sorted loads with MDBX_APPEND where the row says \
        append";

    type Session<'e> = MdbxSession<'e>;

    fn open(dir: &Path, options: &Options) -> Result<Self> {
        let mut flags = match options.durability {
            Durability::Durable => sys::MDBX_SYNC_DURABLE,
            Durability::Buffered => sys::MDBX_UTTERLY_NOSYNC,
        };
        if options.larger_than_memory {
            flags |= sys::MDBX_NORDAHEAD;
        }
        let path = CString::new(dir.as_os_str().as_bytes())?;
        let mut mdbx = Mdbx { env: ptr::null_mut(), dbi: 0 };
        // SAFETY: the place is there to be written to.
        ok(unsafe { sys::mdbx_env_create(&mut mdbx.env) })?;
        // SAFETY: the environment was made, and is not open yet.
        ok(unsafe { sys::mdbx_env_set_geometry(mdbx.env, -1, -1, 16 << 30, -1, -1, 4096) })?;
        // SAFETY: the folder is this process's alone; `path` outlives the call.
        ok(unsafe { sys::mdbx_env_open(mdbx.env, path.as_ptr(), flags, 0o644) })?;
        let txn = mdbx.begin(sys::MDBX_TXN_RDONLY)?;
        // SAFETY: the transaction is live; no name is the unnamed database.
        ok(unsafe { sys::mdbx_dbi_open(txn.0, ptr::null(), sys::MDBX_DB_DEFAULTS, &mut mdbx.dbi) })?;
        txn.commit()?;
        Ok(mdbx)
    }

    fn session(&self) -> Result<MdbxSession<'_>> {
        Ok(MdbxSession(self))
    }

    fn live_bytes(&self) -> Result<Option<u64>> {
        let txn = self.begin(sys::MDBX_TXN_RDONLY)?;
        let mut stat = std::mem::MaybeUninit::<sys::MDBX_stat>::zeroed();
        let size = size_of::<sys::MDBX_stat>();
        // SAFETY: the transaction is live, and the place as large as said.
        ok(unsafe { sys::mdbx_dbi_stat(txn.0, self.dbi, stat.as_mut_ptr(), size) })?;
        // SAFETY: zeros are valid in every field, and the call has written them.
        let stat = unsafe { stat.assume_init() };
        let pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages + 3;
        Ok(Some(pages * u64::from(stat.ms_psize)))
    }

    fn close(mut self) -> Result<()> {
        let env = std::mem::replace(&mut self.env, ptr::null_mut());
        // SAFETY: no transaction is live, they all borrow from `self`; and nobody closes it again.
        ok(unsafe { sys::mdbx_env_close_ex(env, false) })
    }

    fn version() -> String {
        // SAFETY: a constant of the library.
        let version = unsafe { &sys::mdbx_version };
        let package = package_version("signet-mdbx-sys");
        let sys::MDBX_version_info { major, minor, patch, .. } = version;
        format!("libmdbx {major}.{minor}.{patch} (signet-mdbx-sys {package})")
    }
}

impl Mdbx {
    fn begin(&self, flags: sys::MDBX_txn_flags_t) -> Result<Txn> {
        let mut txn = ptr::null_mut();
        // SAFETY: the environment is open; there is no parent and no context.
        ok(unsafe { sys::mdbx_txn_begin_ex(self.env, ptr::null_mut(), flags, &mut txn, ptr::null_mut()) })?;
        Ok(Txn(txn))
    }
}

impl Drop for Mdbx {
    fn drop(&mut self) {
        if !self.env.is_null() {
            // SAFETY: not closed yet. An error of a run that has failed anyway says nothing.
            let _ = unsafe { sys::mdbx_env_close_ex(self.env, true) };
        }
    }
}

impl Txn {
    fn commit(mut self) -> Result<()> {
        let txn = std::mem::replace(&mut self.0, ptr::null_mut());
        // SAFETY: the transaction is live, and nobody ends it again.
        ok(unsafe { sys::mdbx_txn_commit_ex(txn, ptr::null_mut()) })
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the transaction is live. What an abort answers changes nothing.
            let _ = unsafe { sys::mdbx_txn_abort(self.0) };
        }
    }
}

impl Session for MdbxSession<'_> {
    type Reader<'t> = MdbxReader<'t>;
    type Writer<'t> = MdbxWriter<'t>;

    #[inline]
    fn read<T>(&mut self, body: impl FnOnce(&mut MdbxReader<'_>) -> Result<T>) -> Result<T> {
        let txn = self.0.begin(sys::MDBX_TXN_RDONLY)?;
        body(&mut MdbxReader(&txn, self.0.dbi))
    }

    #[inline]
    fn write<T>(&mut self, body: impl FnOnce(&mut MdbxWriter<'_>) -> Result<T>) -> Result<T> {
        let txn = self.0.begin(sys::MDBX_TXN_READWRITE)?;
        let result = body(&mut MdbxWriter(&txn, self.0.dbi))?;
        txn.commit()?;
        Ok(result)
    }
}

impl MdbxReader<'_> {
    /// Shows entries from where the first step leads, each further one by `MDBX_NEXT`.
    #[inline]
    fn walk(
        &self,
        mut key: sys::MDBX_val,
        first: sys::MDBX_cursor_op,
        limit: u64,
        mut see: impl FnMut(&[u8], &[u8]),
    ) -> Result<u64> {
        let mut cursor = Cursor(ptr::null_mut());
        // SAFETY: the transaction is live, and outlives the cursor.
        ok(unsafe { sys::mdbx_cursor_open(self.0.0, self.1, &mut cursor.0) })?;
        let mut value = val(&[]);
        let (mut seen, mut step) = (0, first);
        while seen < limit {
            // SAFETY: the cursor is open; the key is valid for the first step, and is only written by others.
            let code = unsafe { sys::mdbx_cursor_get(cursor.0, &mut key, &mut value, step) };
            if code == sys::MDBX_NOTFOUND {
                break;
            }
            ok(code)?;
            // SAFETY: found, so the key is in a page of the snapshot until the transaction ends.
            let key = unsafe { bytes(&key) };
            // SAFETY: so is the value.
            see(key, unsafe { bytes(&value) });
            seen += 1;
            step = sys::MDBX_NEXT;
        }
        Ok(seen)
    }
}

struct Cursor(*mut sys::MDBX_cursor);

impl Drop for Cursor {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it is open, and its transaction still lives.
            unsafe { sys::mdbx_cursor_close(self.0) };
        }
    }
}

impl Reader for MdbxReader<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], see: impl FnOnce(&[u8])) -> Result<bool> {
        let mut value = val(&[]);
        // SAFETY: the transaction is live; the key outlives the call.
        let code = unsafe { sys::mdbx_get(self.0.0, self.1, &val(key), &mut value) };
        if code == sys::MDBX_NOTFOUND {
            return Ok(false);
        }
        ok(code)?;
        // SAFETY: found, so the value is in a page of the snapshot until the transaction ends.
        see(unsafe { bytes(&value) });
        Ok(true)
    }

    #[inline]
    fn range(&mut self, from: &[u8], limit: u64, see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        self.walk(val(from), sys::MDBX_SET_RANGE, limit, see)
    }

    #[inline]
    fn scan(&mut self, see: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        self.walk(val(&[]), sys::MDBX_FIRST, u64::MAX, see)
    }
}

impl MdbxWriter<'_> {
    #[inline]
    fn put_with(&self, flags: sys::MDBX_put_flags_t, key: &[u8], value: &[u8]) -> Result<()> {
        // SAFETY: the transaction is live; key and value outlive the call, which does not write to them.
        ok(unsafe { sys::mdbx_put(self.0.0, self.1, &val(key), &mut val(value), flags) })
    }
}

impl Writer for MdbxWriter<'_> {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_with(sys::MDBX_UPSERT, key, value)
    }

    #[inline]
    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_with(sys::MDBX_APPEND, key, value)
    }

    #[inline]
    fn remove(&mut self, key: &[u8]) -> Result<()> {
        // SAFETY: the transaction is live; the key outlives the call; no value means any.
        ok(unsafe { sys::mdbx_del(self.0.0, self.1, &val(key), ptr::null()) })
    }
}

#[inline]
fn val(bytes: &[u8]) -> sys::MDBX_val {
    sys::MDBX_val { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// # Safety
/// libmdbx must have filled in `val`, and its transaction must outlive the result.
#[inline]
unsafe fn bytes(val: &sys::MDBX_val) -> &[u8] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(val.iov_base.cast(), val.iov_len) }
}

#[inline]
fn ok(code: c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(failed(code)) }
}

#[cold]
fn failed(code: c_int) -> anyhow::Error {
    // SAFETY: any number may be asked for.
    let text = unsafe { sys::mdbx_strerror(code) };
    // SAFETY: a text that ends with a zero, and stays until the next call from this thread.
    let text = unsafe { CStr::from_ptr(text) };
    anyhow!("libmdbx: {} ({code})", text.to_string_lossy())
}
