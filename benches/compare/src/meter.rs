//! Measuring: wall time, CPU time, what the disk did, memory, latencies, sizes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{Usage, UsageWho, getrusage};

use crate::job::{Cost, Device, Latency, Memory};

/// Runs from `start` to `stop`.
pub(crate) struct Meter {
    stat: Option<PathBuf>,
    device: Option<Device>,
    usage: Usage,
    start: Instant,
}

impl Meter {
    /// `dir` tells which disk is meant.
    pub(crate) fn start(dir: &Path) -> Result<Meter> {
        let stat = device_stat(dir);
        let device = stat.as_deref().and_then(read_device);
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("CPU time so far")?;
        Ok(Meter { stat, device, usage, start: Instant::now() })
    }

    pub(crate) fn stop(self) -> Result<Cost> {
        let seconds = self.start.elapsed().as_secs_f64();
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("CPU time used")?;
        let device = self.stat.as_deref().and_then(read_device);
        let device = self.device.zip(device).map(|(before, after)| Device {
            reads: after.reads - before.reads,
            read_bytes: after.read_bytes - before.read_bytes,
            writes: after.writes - before.writes,
            written_bytes: after.written_bytes - before.written_bytes,
            flushes: after.flushes - before.flushes,
        });
        Ok(Cost {
            seconds,
            user_seconds: time(usage.user_time()) - time(self.usage.user_time()),
            system_seconds: time(usage.system_time()) - time(self.usage.system_time()),
            device,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since the start of a process")]
fn time(value: nix::sys::time::TimeVal) -> f64 {
    value.tv_sec() as f64 + value.tv_usec() as f64 / 1e6
}

/// Where the system counts what the disk below `dir` does. Flushes are counted for whole disks only.
pub(crate) fn device_stat(dir: &Path) -> Option<PathBuf> {
    let id = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(id), nix::sys::stat::minor(id));
    let mut folder = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    if folder.join("partition").exists() {
        folder.pop();
    }
    let stat = folder.join("stat");
    read_device(&stat).map(|_| stat)
}

/// The fields are described in the kernel's `Documentation/block/stat.rst`. Sectors have 512 bytes.
fn read_device(stat: &Path) -> Option<Device> {
    let text = fs::read_to_string(stat).ok()?;
    let fields: Vec<u64> = text.split_whitespace().map_while(|field| field.parse().ok()).collect();
    Some(Device {
        reads: *fields.first()?,
        read_bytes: fields.get(2)? * 512,
        writes: *fields.get(4)?,
        written_bytes: fields.get(6)? * 512,
        flushes: *fields.get(15)?,
    })
}

/// Bytes of all files below a folder that have room on the disk.
pub(crate) fn allocated_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        // A file may go while others are looked at.
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += match metadata.is_dir() {
            true => allocated_bytes(&entry.path()).unwrap_or(0),
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}

/// Looks every 10 ms how much memory the process has that belongs to no file.
pub(crate) struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl MemoryWatch {
    pub(crate) fn start() -> MemoryWatch {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !seen.load(Ordering::Relaxed) {
                peak = peak.max(anonymous_bytes().unwrap_or(0));
                std::thread::sleep(Duration::from_millis(10));
            }
            peak.max(anonymous_bytes().unwrap_or(0))
        });
        MemoryWatch { stop, thread }
    }

    pub(crate) fn stop(self) -> Result<Memory> {
        self.stop.store(true, Ordering::Relaxed);
        let peak = self.thread.join().map_err(|_| anyhow!("the thread that watches the memory panicked"))?;
        let status = fs::read_to_string("/proc/self/status").context("peak memory")?;
        let peak_resident_bytes = status_bytes(&status, "VmHWM:").context("no VmHWM in /proc/self/status")?;
        Ok(Memory { peak_anonymous_bytes: peak, peak_resident_bytes })
    }
}

fn anonymous_bytes() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// How long single operations took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn with_capacity(count: u64) -> Latencies {
        Latencies(Vec::with_capacity(crate::data::to_usize(count)))
    }

    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work()?;
        self.0.push(start.elapsed());
        Ok(result)
    }

    pub(crate) fn join(&mut self, other: Latencies) {
        self.0.extend(other.0);
    }

    pub(crate) fn percentiles(mut self) -> Option<Latency> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1)?;
        let at = |percent: usize| self.0[last * percent / 100].as_secs_f64() * 1e6;
        Some(Latency { count: self.0.len() as u64, p50: at(50), p90: at(90), p99: at(99) })
    }
}
