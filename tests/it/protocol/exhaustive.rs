//! Every schedule up to a number of steps; states that several schedules lead to are looked at once.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::actions::{Action, Mix};
use super::broken::Broken;
use super::check::Violation;
use super::choices::{Choices, Turn};
use super::state::Model;

/// Crash images of a state that are looked at if there are more.
const IMAGES: usize = 64;

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// Every schedule of so many steps was followed.
    pub(super) depth: usize,
    pub(super) states: usize,
    pub(super) images: u64,
    /// What is wrong, if anything is, after the schedule that leads to it.
    pub(super) violation: Option<(Violation, Vec<String>)>,
}

/// How a state was reached: from which one, by which step and choices.
#[derive(Debug)]
struct Origin {
    before: usize,
    action: Action,
    choices: Vec<usize>,
}

/// Follows every schedule, in order of length, until so many different states are known. With `rare`,
/// anything may end or fail at any time.
pub(super) fn cover(broken: Option<Broken>, mix: &Mix, rare: bool, states: usize) -> Covered {
    let mut covered = Covered::default();
    let mut origins: Vec<Origin> = Vec::new();
    let mut known = HashSet::new();
    let mut losses = Choices::random(1);
    // Each state of the layer with its place among the origins, counted from 1; the first has none.
    let mut layer = vec![(0, Model::new(broken))];
    let mut actions = Vec::new();
    while !layer.is_empty() {
        let mut next = Vec::new();
        for (before, model) in layer {
            model.actions(mix, rare, &mut actions);
            for &action in &actions {
                let mut choices = Choices::every();
                loop {
                    let mut after = model.clone();
                    let mut turn = Turn { choices: &mut choices, log: None };
                    let taken = after.act(action, mix, &mut turn);
                    if taken.is_err() || known.insert(fingerprint(&after)) {
                        origins.push(Origin { before, action, choices: choices.taken() });
                        match taken.and_then(|()| after.check(IMAGES, &mut losses)) {
                            Ok(images) => covered.images += images,
                            Err(violation) => {
                                covered.violation = Some((violation, in_words(broken, mix, &origins)));
                                return covered;
                            }
                        }
                        covered.states += 1;
                        next.push((origins.len(), after));
                    }
                    if !choices.next_path() {
                        break;
                    }
                }
            }
            if covered.states >= states {
                return covered;
            }
        }
        covered.depth += 1;
        layer = next;
    }
    covered
}

/// The schedule that leads to the last of these.
fn in_words(broken: Option<Broken>, mix: &Mix, origins: &[Origin]) -> Vec<String> {
    let mut path = Vec::new();
    let mut at = origins.len();
    while at > 0 {
        path.push(&origins[at - 1]);
        at = origins[at - 1].before;
    }
    let (mut log, mut model) = (Vec::new(), Model::new(broken));
    for Origin { action, choices, .. } in path.into_iter().rev() {
        let mut choices = Choices::again(choices);
        // The last step's violation is known.
        let _ = model.act(*action, mix, &mut Turn { choices: &mut choices, log: Some(&mut log) });
    }
    log
}

fn fingerprint(model: &Model) -> u64 {
    let mut hasher = DefaultHasher::new();
    model.hash(&mut hasher);
    hasher.finish()
}
