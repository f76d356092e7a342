//! Random schedules: many, of different mixes, each determined by its seed.

use super::actions::Mix;
use super::broken::Broken;
use super::check::Violation;
use super::choices::{Choices, Turn};
use super::state::Model;

/// Kinds of schedules; each is one of them.
const MIXES: [Mix; 19] = [
    Mix { readers: 2, rare: 12, rewrites: true, ..Mix::PLAIN },
    Mix { writer: 2, readers: 1, rare: 12, ..Mix::PLAIN },
    // A slow leader: several transactions come and go while it syncs.
    Mix { writer: 8, readers: 2, rare: 20, ..Mix::PLAIN },
    // A slow writer: its scan is old when it writes.
    Mix { leader: 3, readers: 2, rare: 12, ..Mix::PLAIN },
    // Small transactions, and nothing but readers and leaders beside them.
    Mix { writer: 3, leader: 2, readers: 2, immediate: 4, small: true, ..Mix::PLAIN },
    // One end after another.
    Mix { writer: 3, leader: 2, rare: 3, rewrites: true, small: true, ..Mix::PLAIN },
    Mix { writer: 8, leader: 2, rare: 10, small: true, ..Mix::PLAIN },
    Mix { writer: 8, leader: 2, rare: 10, power_fails: 20, small: true, ..Mix::PLAIN },
    Mix { writer: 6, leader: 2, rare: 4, syncs_fail: 10, small: true, ..Mix::PLAIN },
    // Two processes, and one that only reads.
    Mix { readers: 2, rare: 12, rewrites: true, ..SEVERAL },
    Mix { writer: 3, leader: 3, readers: 1, rare: 12, leaders_die: 10, small: true, ..SEVERAL },
    Mix { writer: 4, leader: 2, rare: 6, leaders_die: 20, small: true, ..SEVERAL },
    Mix { writer: 6, leader: 2, rare: 6, writers_die: 10, immediate: 4, small: true, ..SEVERAL },
    Mix { writer: 4, leader: 4, rare: 6, leaders_die: 10, syncs_fail: 20, small: true, ..SEVERAL },
    Mix {
        writer: 4,
        leader: 4,
        rare: 6,
        leaders_die: 10,
        closes: 20,
        power_fails: 4,
        small: true,
        ..SEVERAL
    },
    Mix { writer: 4, leader: 4, rare: 20, leaders_die: 10, immediate: 8, ..SEVERAL },
    // Nobody is told of failed syncs, and nothing else goes wrong; with a slow writer, and with a fast one.
    Mix { writer: 2, leader: 8, untold: 1, immediate: 1, small: true, ..TWO },
    Mix { writer: 8, leader: 6, untold: 4, immediate: 3, small: true, ..SEVERAL },
    // Readers of several processes, and no ends.
    Mix { writer: 3, leader: 4, readers: 2, ..TWO },
];

const TWO: Mix = Mix { writers: 2, ..Mix::PLAIN };
const SEVERAL: Mix = Mix { onlooker: true, ..TWO };

/// Crash images that are looked at after each step.
const IMAGES: usize = 6;

/// A violation, and where to find it again.
#[derive(Debug)]
pub(super) struct Caught {
    pub(super) seed: u64,
    pub(super) steps: usize,
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) schedules: u64,
    pub(super) steps: u64,
    pub(super) images: u64,
    /// The shortest violation.
    pub(super) caught: Option<Caught>,
    /// Which schedule was the first that led to one, counted from 1.
    pub(super) first: u64,
}

/// Runs schedules with the seeds from `seed` on: `most` of them; but once a violation is found only about as
/// many again, to find a shorter one.
pub(super) fn explore(broken: Option<Broken>, seed: u64, most: u64) -> Explored {
    let mut explored = Explored::default();
    for seed in seed..seed + most {
        if explored.caught.is_some() && explored.schedules >= 2 * explored.first + 200 {
            break;
        }
        explored.schedules += 1;
        let longest = explored.caught.as_ref().map_or(usize::MAX, |caught| caught.steps);
        let mut schedule = Schedule::new(broken, seed);
        let violation = schedule.run(longest, None);
        explored.steps += schedule.steps as u64;
        explored.images += schedule.images;
        if violation.is_some() {
            if explored.caught.is_none() {
                explored.first = explored.schedules;
            }
            explored.caught = Some(Caught { seed, steps: schedule.steps });
        }
    }
    explored
}

/// The schedule of a seed, in words, and what is wrong at its end.
pub(super) fn in_words(broken: Option<Broken>, seed: u64) -> String {
    let mut log = Vec::new();
    let violation = Schedule::new(broken, seed).run(usize::MAX, Some(&mut log));
    log.push(violation.map_or("Nothing is wrong.".to_owned(), |violation| violation.to_string()));
    let lines: Vec<String> =
        log.iter().flat_map(|text| text.lines()).map(|line| format!("    {line}\n")).collect();
    lines.concat()
}

/// One schedule.
struct Schedule {
    model: Model,
    mix: Mix,
    length: usize,
    choices: Choices,
    /// The images have choices of their own: what happens does not depend on how many are looked at.
    losses: Choices,
    steps: usize,
    images: u64,
}

impl Schedule {
    fn new(broken: Option<Broken>, seed: u64) -> Schedule {
        let mut choices = Choices::random(seed);
        let mix = MIXES[choices.pick(MIXES.len())];
        let length = 40 + choices.pick(if mix.writers > 1 { 200 } else { 120 });
        let losses = Choices::random(!seed);
        Schedule { model: Model::new(broken), mix, length, choices, losses, steps: 0, images: 0 }
    }

    /// Runs until something is wrong, or to the end; it is given up before `longest` steps.
    fn run(&mut self, longest: usize, mut log: Option<&mut Vec<String>>) -> Option<Violation> {
        let mut actions = Vec::new();
        while self.steps < self.length && self.steps + 1 < longest {
            let rare = self.mix.rare > 0 && self.choices.one_in(self.mix.rare);
            self.model.actions(&self.mix, rare, &mut actions);
            let action = actions[self.choices.pick(actions.len())];
            let mut turn = Turn { choices: &mut self.choices, log: log.as_deref_mut() };
            self.steps += 1;
            let done = self.model.act(action, &self.mix, &mut turn);
            match done.and_then(|()| self.model.check(IMAGES, &mut self.losses)) {
                Ok(images) => self.images += images,
                Err(violation) => return Some(violation),
            }
        }
        None
    }
}
