//! The terminal as a canvas, given back as it was, however the tool ends.

use std::io::{self, IsTerminal, Stdout};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Position, Rect};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::low_level::{emulate_default_handler, pipe};

use crate::failure::Failure;

/// Whether the terminal is drawn on.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What ends the tool, by number, beside the keys.
const ENDING: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// What happened while the screen was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// The time is over.
    Nothing,
    /// Draw again: the window has another size, or the tool was in the background.
    Redraw,
    /// A key.
    Key(Key),
    /// Stop: a signal of this number, or the terminal went away.
    End(Option<i32>),
}

/// The keys that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Interrupt,
    Suspend,
    Up,
    Down,
    Other,
}

impl Key {
    /// What a read from a terminal in raw mode gave: one key, or several that came at once, of which the last
    /// is meant, unless one of them ends.
    fn of(bytes: &[u8]) -> Key {
        let one = |byte: &u8| match byte {
            b'q' | b'Q' => Key::Quit,
            0x03 => Key::Interrupt,
            0x1A => Key::Suspend,
            b'k' => Key::Up,
            b'j' => Key::Down,
            _ => Key::Other,
        };
        match bytes {
            // Alone it is the key; else the beginning of what another key sends.
            b"\x1B" => Key::Quit,
            b"\x1B[A" | b"\x1BOA" => Key::Up,
            b"\x1B[B" | b"\x1BOB" => Key::Down,
            [0x1B, b'[' | b'O', ..] => Key::Other,
            _ => {
                let mut keys = bytes.iter().map(one);
                let ends = |key: &Key| matches!(key, Key::Quit | Key::Interrupt);
                keys.clone().find(ends).or(keys.next_back()).unwrap_or(Key::Other)
            }
        }
    }
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn check_terminal() -> Result<(), Failure> {
    let advice = "--once prints one look as text, --json lines for a program";
    let missing = match (io::stdin().is_terminal(), io::stdout().is_terminal()) {
        (_, false) => "standard output is not a terminal",
        (false, true) => "standard input is not a terminal",
        _ if std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty()) => {
            "this terminal cannot be drawn on (TERM)"
        }
        _ => return Ok(()),
    };
    Err(Failure::Usage(format!("{missing}: {advice}")))
}

/// The terminal while it is drawn on.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// The last signal that ends the tool.
    signal: Arc<AtomicUsize>,
    /// Gets a byte for each signal, so that the wait for keys ends.
    woken: UnixStream,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before it says what it has to say.
    pub(super) fn take() -> io::Result<Screen> {
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let signal = Arc::new(AtomicUsize::new(0));
        for number in ENDING {
            let as_word = usize::try_from(number).unwrap_or(0);
            signal_hook::flag::register_usize(number, Arc::clone(&signal), as_word)?;
            pipe::register(number, waker.try_clone()?)?;
        }
        pipe::register(SIGWINCH, waker)?;
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            tell(info);
        }));
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let mut screen = Screen { terminal, signal, woken };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::Relaxed);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        // Everything is drawn anew. Not with `clear`, which asks the terminal where its cursor is, and fails
        // if it does not answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }

    /// Waits for a key, a signal or the time `until`.
    pub(super) fn wait(&mut self, until: Instant) -> io::Result<Happened> {
        let stdin = io::stdin();
        let left = until.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left.min(Duration::from_secs(3600))).unwrap_or_default();
        let mut polled = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.woken, PollFlags::IN)];
        match poll(&mut polled, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [keys, signals] = polled.map(|fd| fd.revents());
        if let Ok(number @ 1..) = i32::try_from(self.signal.load(Ordering::Relaxed)) {
            return Ok(Happened::End(Some(number)));
        }
        if !signals.is_empty() {
            let mut bytes = [0; 64];
            while rustix::io::read(&self.woken, &mut bytes).is_ok_and(|read| read > 0) {}
            return Ok(Happened::Redraw);
        }
        if keys.is_empty() {
            return Ok(Happened::Nothing);
        }
        // Past the buffer of the standard library, in which a key could lie unseen.
        let mut bytes = [0; 64];
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) | Err(rustix::io::Errno::IO) => Ok(Happened::End(None)),
            Ok(read) => self.key(&bytes[..read]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(Happened::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn key(&mut self, bytes: &[u8]) -> io::Result<Happened> {
        let key = Key::of(bytes);
        match key {
            Key::Interrupt => Ok(Happened::End(Some(SIGINT))),
            Key::Suspend => {
                give_back();
                // Returns when the shell says so.
                emulate_default_handler(SIGTSTP)?;
                self.enter()?;
                Ok(Happened::Redraw)
            }
            _ => Ok(Happened::Key(key)),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the terminal as it was. Where that fails there is nobody to tell. Once: a second time would put the
/// cursor back before what was said since.
fn give_back() {
    if TAKEN.swap(false, Ordering::Relaxed) {
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}

/// Ends the process as the signal does that it got, which tells a shell to stop as well.
pub(super) fn end_by(signal: i32) -> Result<(), Failure> {
    emulate_default_handler(signal).map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_the_beginnings_of_others() {
        let given: [&[u8]; 12] = [
            b"q", b"Q", b"\x1B", b"\x03", b"\x1A", b"\x1B[A", b"\x1BOB", b"k", b"j", b"\x1B[6~", b"x", b"jjq",
        ];
        use Key::{Down, Interrupt, Other, Quit, Suspend, Up};
        let expected = [Quit, Quit, Quit, Interrupt, Suspend, Up, Down, Up, Down, Other, Other, Quit];
        assert_eq!(given.map(Key::of), expected);
    }
}
