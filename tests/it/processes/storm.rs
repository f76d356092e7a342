//! Goal: eight processes on one file, any of which is killed at any moment, lose nothing that was
//! acknowledged and never see a part of a commit, nor an older one after a newer one.
//! Method: five readers and three writers at all levels, each of which knows the newest version that any of
//! them has seen or been told of. Every 200 ms one of them is killed and started again; at times all at
//! once, and readers are stopped for a while. At the end the content is compared with a model of it. More
//! of it: `FOLIO_STORM_SECONDS`, `FOLIO_STORM_SEED`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{place, signal};
use crate::kill::Draws;
use crate::torture::{folder_on_disk, number, run, succeed};

const READERS: usize = 5;
const WRITERS: usize = 3;
const BETWEEN_KILLS: Duration = Duration::from_millis(200);

struct Storm {
    folder: PathBuf,
    draws: Draws,
    children: Vec<(Child, String)>,
    kills: usize,
    /// A reader that is stopped.
    stopped: Option<usize>,
}

impl Storm {
    fn name(member: usize) -> String {
        if member < READERS { format!("read{member}") } else { format!("write{}", member - READERS) }
    }

    fn complaints(&self, member: usize) -> PathBuf {
        self.folder.join(format!("complaints-{member}"))
    }

    fn start(&mut self, member: usize) -> (Child, String) {
        let draws = &mut self.draws;
        let seed = draws.below(1 << 30).to_string();
        let levels = match member - member.min(READERS) {
            0 => "immediate",
            1 => "buffered",
            _ => "immediate,background,buffered",
        };
        let settings = [
            ("--levels", levels),
            ("--memory-limit", draws.pick(&["268435456", "268435456", "65536"])),
            ("--checkpoint-after", draws.pick(&["67108864", "300000"])),
            ("--reserve", draws.pick(&["68719476736", "1"])),
            ("--seed", &seed),
        ];
        let settings: Vec<&str> = settings.into_iter().flat_map(|(name, value)| [name, value]).collect();
        let role = if member < READERS { "read" } else { "write" };
        let mut command = run(&["storm", role], &self.folder, &[&Storm::name(member)]);
        command.args(&settings).stdout(Stdio::null());
        command.stderr(File::options().create(true).append(true).open(self.complaints(member)).unwrap());
        (command.spawn().unwrap(), settings.join(" "))
    }

    /// Nobody ends by itself.
    fn check_all_run(&mut self) {
        for member in 0..self.children.len() {
            if let Some(status) = self.children[member].0.try_wait().unwrap() {
                let said = fs::read_to_string(self.complaints(member)).unwrap();
                panic!("{} ({}): {status}: {said}", Storm::name(member), self.children[member].1);
            }
        }
    }

    fn kill(&mut self, member: usize) {
        let (child, _) = &mut self.children[member];
        child.kill().unwrap();
        child.wait().unwrap();
        self.kills += 1;
        if self.stopped == Some(member) {
            self.stopped = None;
        }
    }

    fn strike(&mut self) {
        self.check_all_run();
        if let Some(member) = self.stopped.take() {
            signal(self.children[member].0.id(), "CONT");
        }
        let all = READERS + WRITERS;
        match self.draws.below(10) {
            0 => {
                // Nobody is left to say what was committed.
                (0..all).for_each(|member| self.kill(member));
                (0..all).for_each(|member| self.children[member] = self.start(member));
            }
            kind => {
                let member = usize::try_from(self.draws.below(all as u64)).unwrap();
                self.kill(member);
                self.children[member] = self.start(member);
                if kind < 4 {
                    let member = usize::try_from(self.draws.below(READERS as u64)).unwrap();
                    signal(self.children[member].0.id(), "STOP");
                    self.stopped = Some(member);
                }
            }
        }
    }

    /// Some are killed, the others end in good order, in whatever order.
    fn end(&mut self) {
        self.check_all_run();
        if let Some(member) = self.stopped.take() {
            signal(self.children[member].0.id(), "CONT");
        }
        for member in 0..self.children.len() {
            if self.draws.below(3) == 0 {
                self.kill(member);
            }
        }
        File::create(self.folder.join("stop")).unwrap();
        for member in 0..self.children.len() {
            let status = self.children[member].0.wait().unwrap();
            let said = fs::read_to_string(self.complaints(member)).unwrap();
            assert!(status.success() || status.code().is_none(), "{}: {said}", Storm::name(member));
        }
    }

    /// Lines that the readers have said, or the writers.
    fn said(&self, role: &str) -> usize {
        let files = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        let of_role = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains(role);
        files.filter(of_role).map(|path| fs::read_to_string(path).unwrap().lines().count()).sum()
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        for (child, _) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn storm(folder: &Path, seconds: u64, seed: u64) -> Storm {
    let (children, stopped) = (Vec::new(), None);
    let mut storm = Storm { folder: folder.to_owned(), draws: Draws(seed), children, kills: 0, stopped };
    for member in 0..READERS + WRITERS {
        File::create(folder.join(format!("said-{}", Storm::name(member)))).unwrap();
    }
    // They create the file in a race.
    for member in 0..READERS + WRITERS {
        let child = storm.start(member);
        storm.children.push(child);
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        // The moment is what is drawn here: nothing waits for anything.
        std::thread::sleep(BETWEEN_KILLS);
        storm.strike();
    }
    storm.end();
    storm
}

#[test]
fn eight_processes_lose_nothing_and_see_whole_commits_while_one_is_killed_every_200_ms() {
    let seed = number("FOLIO_STORM_SEED", u64::from(std::process::id()));
    println!("FOLIO_STORM_SEED={seed}");
    // Where syncs are slow and many commits share one, or where they are not.
    let folder = if seed.is_multiple_of(2) { folder_on_disk() } else { place().0 };
    let storm = storm(folder.path(), number("FOLIO_STORM_SECONDS", 5), seed);
    let (commits, snapshots) = (storm.said("said-write"), storm.said("said-read"));
    let verified = succeed(run(&["storm", "verify"], folder.path(), &[]));
    let (file, data) = (super::number_in(verified.trim(), "file"), super::number_in(verified.trim(), "data"));
    println!(
        "{} kills, {commits} commits acknowledged, {snapshots} snapshots read, file {} % of its data: {}",
        storm.kills,
        file * 100 / data,
        verified.trim()
    );
    assert!(commits > 100 && snapshots > 100, "{commits} commits, {snapshots} snapshots");
    // What came since the last sync is pinned, however little the data is.
    assert!(file <= 3 * data + (4 << 20), "{file} bytes of file for {data} of data");
}
