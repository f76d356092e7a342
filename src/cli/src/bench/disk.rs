//! The disk without a database: where it is, and what its writes and flushes take.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Figure, Times, Unit};
use crate::failure::Failure;
use crate::file_system::{FileSystem, file_system};

const MIB: usize = 1 << 20;
/// Bytes that are written one after the other.
const LENGTH: usize = 96 * MIB;
/// For so long small writes are synced one by one.
const FLUSHES: Duration = Duration::from_millis(1200);

/// What is known of the disk. Each may be unknown.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file_system: Option<String>,
    pub(super) device: Option<String>,
    /// Whether it turns, as the system has it. Virtual disks often say so.
    pub(super) disk: Option<&'static str>,
    pub(super) cores: usize,
}

impl Place {
    pub(super) fn of(folder: &Path) -> Result<Place, Failure> {
        let fault = |source| Failure::Input { name: folder.display().to_string(), source };
        let folder = fs::canonicalize(folder).map_err(fault)?;
        let found = file_system(&folder);
        let turns = found.as_ref().and_then(FileSystem::is_rotational);
        Ok(Place {
            file_system: found.as_ref().map(|found| found.kind().to_owned()),
            device: found.as_ref().map(|found| found.source().to_owned()),
            disk: turns.map(|turns| if turns { "rotational" } else { "not rotational" }),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// For people.
    pub(super) fn text(&self, folder: &Path) -> String {
        let mut text = crate::output::name(&folder.display().to_string());
        if let Some(kind) = &self.file_system {
            text.push_str(&format!(", on {kind}"));
        }
        let device = self.device.as_ref().map(|device| crate::output::name(device));
        let known: Vec<String> = device.into_iter().chain(self.disk.map(str::to_owned)).collect();
        if !known.is_empty() {
            text.push_str(&format!(" ({})", known.join(", ")));
        }
        let cores = if self.cores == 1 { "core" } else { "cores" };
        text.push_str(&format!("; {} {cores}", self.cores));
        text
    }
}

/// What writing and syncing takes.
pub(super) fn measure(folder: &Path) -> Result<Vec<Figure>, Failure> {
    let fault = |source| Failure::Input { name: folder.display().to_string(), source };
    let file = nameless(folder).map_err(fault)?;
    // Bytes that no disk can make smaller.
    let mut random = super::database::Random(1);
    let bytes: Vec<u8> = (0..MIB / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let start = Instant::now();
    for i in 0..LENGTH / MIB {
        file.write_all_at(&bytes, (i * MIB) as u64).map_err(fault)?;
    }
    file.sync_all().map_err(fault)?;
    let writing = start.elapsed();
    let mut flushes = Vec::new();
    let start = Instant::now();
    while start.elapsed() < FLUSHES && flushes.len() < 5000 {
        let at = random.next() % (LENGTH / 4096) as u64 * 4096;
        let before = Instant::now();
        file.write_all_at(&bytes[..4096], at).map_err(fault)?;
        file.sync_data().map_err(fault)?;
        flushes.push(before.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = |number: usize, time: Duration| number as f64 / time.as_secs_f64().max(1e-9);
    Ok(vec![
        Figure {
            id: "sequential_write",
            name: "sequential write".to_owned(),
            value: rate(LENGTH, writing),
            unit: Unit::BytesPerSecond,
            times: None,
            meaning: "96 MiB and one sync: how fast loads can be at most",
        },
        Figure {
            id: "flush",
            name: "write of 4 KiB and flush".to_owned(),
            value: rate(flushes.len(), start.elapsed()),
            unit: Unit::PerSecond("flushes"),
            times: Times::of(flushes),
            meaning: "the disk alone: what makes a commit durable cannot be quicker (if it is far below \
                      0.1 ms, ask whether the disk keeps what it says)",
        },
    ])
}

/// A file that has lost its name.
fn nameless(folder: &Path) -> std::io::Result<File> {
    let path = folder.join(format!(".folio-bench-{}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
