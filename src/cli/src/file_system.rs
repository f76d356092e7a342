//! Which file system a file is on, as Linux tells in /proc.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::output;

/// Whether two names are those of one file, which is there.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    place(a).is_some_and(|at| Some(at) == place(b))
}

/// A file system that is mounted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    kind: String,
    mounted_at: PathBuf,
    source: String,
    is_read_only: bool,
    /// Major and minor number of its device.
    device: String,
}

impl FileSystem {
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether its disk turns, as the system has it; none where it does not say. Virtual disks often say so.
    pub(crate) fn is_rotational(&self) -> Option<bool> {
        let device = format!("/sys/dev/block/{}", self.device);
        // A partition has no queue of its own, its disk has.
        let found = ["queue", "../queue"]
            .iter()
            .find_map(|queue| fs::read_to_string(format!("{device}/{queue}/rotational")).ok())?;
        Some(found.trim() == "1")
    }

    pub(crate) fn text(&self) -> String {
        let at = self.mounted_at.display().to_string();
        let how = if self.is_read_only { ", read-only" } else { "" };
        output::name(&format!("{} ({} on {at}{how})", self.kind, self.source))
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "kind": self.kind,
            "mounted_at": self.mounted_at.to_string_lossy(),
            "source": self.source,
            "read_only": self.is_read_only,
        })
    }
}

/// The file system that the file is on; none where the system does not tell.
pub(crate) fn file_system(path: &Path) -> Option<FileSystem> {
    let path = fs::canonicalize(path).ok()?;
    of(&fs::read_to_string("/proc/self/mountinfo").ok()?, &path)
}

/// The one with the longest mount point above the path; of several at one place the last, which hides others.
fn of(mounts: &str, path: &Path) -> Option<FileSystem> {
    let above = mounts.lines().filter_map(parse).filter(|mount| path.starts_with(&mount.mounted_at));
    above.max_by_key(|mount| mount.mounted_at.components().count())
}

/// A line of `mountinfo`: see proc(5).
fn parse(line: &str) -> Option<FileSystem> {
    let (before, behind) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let device = before.next()?.to_owned();
    let mut before = before.skip(1);
    let (mounted_at, options) = (unescape(before.next()?), before.next()?);
    let mut behind = behind.split(' ');
    let (kind, source) = (behind.next()?.to_owned(), unescape(behind.next()?));
    let is_read_only = options.split(',').any(|option| option == "ro");
    Some(FileSystem { kind, mounted_at: mounted_at.into(), source, is_read_only, device })
}

/// Blanks and the like stand there as a backslash and three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = behind.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => plain.push(char::from(code)),
            None => plain.push('\\'),
        }
        rest = if code.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:5 / /tmp rw - tmpfs tmpfs rw
31 22 0:6 / /tmp/my\\040disk ro,noatime shared:7 - xfs /dev/my\\040disk rw
32 22 0:7 / /tm rw - proc proc rw
nonsense";
        let kind = |path: &str| of(mounts, Path::new(path)).map(|found| (found.kind, found.is_read_only));
        assert_eq!(kind("/home/x"), Some(("ext4".to_owned(), false)));
        assert_eq!(kind("/tmp/x"), Some(("tmpfs".to_owned(), false)));
        assert_eq!(kind("/tmp/my disk/x"), Some(("xfs".to_owned(), true)));
        let source = |path: &str| of(mounts, Path::new(path)).map(|found| (found.source, found.device));
        assert_eq!(source("/home/x"), Some(("/dev/sda1".to_owned(), "8:1".to_owned())));
        assert_eq!(source("/tmp/my disk/x"), Some(("/dev/my disk".to_owned(), "0:6".to_owned())));
        assert_eq!(of("", Path::new("/")), None);
    }
}
