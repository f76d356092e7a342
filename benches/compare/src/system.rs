//! What is asked of the system: limits, files written out or taken from the cache, room on the disk, cgroups.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

/// Limits this process: no file longer than this, and no life beyond that of its parent.
pub(crate) fn limit_process(max_file_bytes: u64) -> Result<()> {
    setrlimit(Resource::RLIMIT_FSIZE, max_file_bytes, max_file_bytes)
        .context("limiting the length of files")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("limiting core files")?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("asking to end with the parent")
}

/// Writes out all files of a folder.
pub(crate) fn sync_files(dir: &Path) -> Result<()> {
    each_file(dir, &mut |file| file.sync_all())
}

/// Takes all files of a folder out of the system's page cache.
pub(crate) fn evict_files(dir: &Path) -> Result<()> {
    each_file(dir, &mut |file| {
        file.sync_all()?;
        Ok(posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
    })
}

fn each_file(dir: &Path, work: &mut impl FnMut(&File) -> std::io::Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            each_file(&path, work)?;
        } else {
            let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            work(&file).with_context(|| format!("syncing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Bytes that an ordinary user may still write to the file system of `dir`.
pub(crate) fn free_bytes(dir: &Path) -> Result<u64> {
    let stat = nix::sys::statvfs::statvfs(dir).with_context(|| format!("room below {}", dir.display()))?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

/// A group of processes with limited memory, files in the page cache included. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct MemoryGroup {
    path: PathBuf,
}

impl MemoryGroup {
    /// Makes a group below the one that this process is in, so that the limits above stay in force.
    pub(crate) fn new(limit_bytes: u64) -> Result<MemoryGroup> {
        let (parent, limit_file) = own_group()?;
        let path = parent.join(format!("folio-compare-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making the cgroup {}", path.display()))?;
        let group = MemoryGroup { path };
        let limit = group.path.join(limit_file);
        fs::write(&limit, limit_bytes.to_string()).with_context(|| format!("writing {}", limit.display()))?;
        Ok(group)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves this process into the group at `path`.
    pub(crate) fn join(path: &Path) -> Result<()> {
        let file = path.join("cgroup.procs");
        fs::write(&file, std::process::id().to_string())
            .with_context(|| format!("writing {}", file.display()))
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Fails while a process is in it; its processes have ended by now.
        if let Err(error) = fs::remove_dir(&self.path) {
            eprintln!("the cgroup {} stays behind: {error}", self.path.display());
        }
    }
}

/// The memory cgroup of this process, and the file in it that sets the limit: version 1 or 2.
fn own_group() -> Result<(PathBuf, &'static str)> {
    let groups = fs::read_to_string("/proc/self/cgroup").context("which cgroups this process is in")?;
    let named = |name: &str| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            controllers.split(',').any(|part| part == name).then(|| parts.next()).flatten()
        })
    };
    if let Some(own) = named("memory") {
        let path = Path::new("/sys/fs/cgroup/memory").join(own.trim_start_matches('/'));
        return Ok((path, "memory.limit_in_bytes"));
    }
    let own = named("").context("no memory cgroup")?;
    Ok((Path::new("/sys/fs/cgroup").join(own.trim_start_matches('/')), "memory.max"))
}
