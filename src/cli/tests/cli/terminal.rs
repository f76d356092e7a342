//! Goal: what the tool shows on a terminal can be tested as a person sees it.
//! Method: a pseudo terminal, and a program that draws what is written to it as a terminal would.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use vt100::Color;

use crate::{Place, tool};

pub(crate) const COLUMNS: u16 = 100;
pub(crate) const ROWS: u16 = 30;

/// A run of the tool on a terminal of its own.
pub(crate) struct OnTerminal {
    pub(crate) child: Child,
    /// The person's side.
    master: File,
    /// The tool's side.
    slave: OwnedFd,
    before: String,
    /// Everything that was written, and what a terminal makes of it.
    pub(crate) written: Vec<u8>,
    parser: vt100::Parser,
}

impl OnTerminal {
    pub(crate) fn start(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> OnTerminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let before = settings(&slave);
        let mut command = Command::new(tool());
        command.args(arguments).current_dir(place.folder.path());
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        let side = || slave.try_clone().unwrap();
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        drop(command);
        let size = |number| NonZero::new(number).unwrap();
        let parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
        OnTerminal { child, master: master.into(), slave, before, written: Vec::new(), parser }
    }

    /// What the terminal shows.
    pub(crate) fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    pub(crate) fn cells(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Reads on until the screen is as wanted, or the tool has ended.
    #[track_caller]
    pub(crate) fn until(&mut self, what: impl Fn(&str) -> bool) {
        let mut bytes = [0; 4096];
        while !what(&self.screen()) {
            if !self.has_output() {
                if let Some(status) = self.child.try_wait().unwrap() {
                    panic!("ended with {status}:\n{}", self.screen());
                }
                continue;
            }
            let read = self.master.read(&mut bytes).unwrap();
            self.take_in(&bytes[..read]);
        }
    }

    /// Whether something was written; waits for it for a moment.
    fn has_output(&self) -> bool {
        let mut polled = [PollFd::new(&self.master, PollFlags::IN)];
        let limit = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        poll(&mut polled, Some(&limit)).unwrap() > 0
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        self.parser.process(bytes);
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, and for the terminal as it was: its settings, its screen, its cursor.
    #[track_caller]
    pub(crate) fn ends(self) -> (ExitStatus, String) {
        let (status, screen, _) = self.ends_with_cells();
        (status, screen)
    }

    /// The same, and the colours of all cells: of the letter, and behind it.
    #[track_caller]
    pub(crate) fn ends_with_cells(mut self) -> (ExitStatus, String, Vec<(Color, Color)>) {
        // What comes behind everything that the tool has written.
        let mark = b"<end>";
        let mut bytes = [0; 4096];
        let mut status = None;
        while !self.written.ends_with(mark) {
            if status.is_none() && !self.has_output() {
                status = self.child.try_wait().unwrap();
                if status.is_some() {
                    rustix::io::write(&self.slave, mark).unwrap();
                }
                continue;
            }
            let read = self.master.read(&mut bytes).unwrap();
            self.take_in(&bytes[..read]);
        }
        let status = status.unwrap();
        assert_eq!(settings(&self.slave), self.before, "the settings of the terminal");
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen(), "the other screen is still shown");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        let places = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
        let cells = places.filter_map(|(row, column)| screen.cell(row, column));
        let cells = cells.map(|cell| (cell.fgcolor(), cell.bgcolor())).collect();
        (status, self.screen(), cells)
    }
}

impl Drop for OnTerminal {
    /// A test that failed leaves no process behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn settings(terminal: &OwnedFd) -> String {
    let termios: Termios = tcgetattr(terminal).unwrap();
    format!("{termios:?}")
}
