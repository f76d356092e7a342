//! Whether Folio keeps its floors: `floors.toml` against a run.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::catalog::{Figure, Workload};
use crate::results::Results;

/// The engine that has floors to keep.
pub(crate) const JUDGED: &str = "folio";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Floors {
    floor: Vec<Floor>,
}

/// What a row must reach, and what it aims at: its ratio to LMDB, or its own value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Floor {
    pub workload: String,
    pub floor: f64,
    pub aim: f64,
    /// The figures are of Folio's own value, not of its ratio to LMDB.
    #[serde(default)]
    pub own: bool,
}

impl Floors {
    /// The table that is checked in.
    pub(crate) fn read() -> Result<Floors> {
        toml::from_str(include_str!("../floors.toml")).context("floors.toml")
    }

    pub(crate) fn all(&self) -> &[Floor] {
        &self.floor
    }

    pub(crate) fn of(&self, workload: &str) -> Option<&Floor> {
        self.floor.iter().find(|floor| floor.workload == workload)
    }
}

/// What a run says of a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Aim,
    Floor,
    Missed,
    Unknown,
}

impl Floor {
    /// What is judged: the ratio or the value, as the table says.
    fn reached(&self, results: &Results, row: &Workload) -> Option<f64> {
        let cell = results.cell(row, JUDGED)?;
        if self.own { Some(cell.value.median) } else { cell.ratio.map(|ratio| ratio.median) }
    }

    pub(crate) fn verdict(&self, results: &Results, row: &Workload) -> Verdict {
        let Some(reached) = self.reached(results, row) else { return Verdict::Unknown };
        let is_kept =
            |bound: f64| if row.figure == Figure::Rate { reached >= bound } else { reached <= bound };
        match (is_kept(self.aim), is_kept(self.floor)) {
            (true, _) => Verdict::Aim,
            (false, true) => Verdict::Floor,
            (false, false) => Verdict::Missed,
        }
    }

    /// The sentence that names a floor that is missed.
    fn miss(&self, results: &Results, row: &Workload) -> String {
        let reached = self.reached(results, row).map_or("?".to_owned(), |reached| format!("{reached:.2}"));
        let side = if row.figure == Figure::Rate { "below" } else { "above" };
        let cpu = results.cell(row, JUDGED).and_then(|cell| cell.cpu_ratio);
        let cpu = cpu.map(|cpu| format!("; by CPU time {:.2}", cpu.median)).unwrap_or_default();
        let Floor { workload, floor, aim, .. } = self;
        format!("{workload}: {reached} is {side} the floor of {floor:.2} (aim {aim:.2}{cpu})")
    }
}

/// Every row of the table that is missed, or was to be measured and was not. Workloads that were not asked
/// for are left out.
pub(crate) fn misses(results: &Results, workloads: &[&Workload]) -> Result<Vec<String>> {
    let floors = Floors::read()?;
    let judged: Vec<_> = workloads.iter().filter_map(|row| Some((*row, floors.of(row.name)?))).collect();
    ensure!(!judged.is_empty(), "--check: none of the workloads has a floor");
    let mut misses = Vec::new();
    for (row, floor) in &judged {
        match floor.verdict(results, row) {
            Verdict::Aim | Verdict::Floor => {}
            Verdict::Missed => misses.push(floor.miss(results, row)),
            Verdict::Unknown => misses.push(format!("{}: not measured, cannot be checked", row.name)),
        }
    }
    println!("checked {} floors, {} missed", judged.len(), misses.len());
    Ok(misses)
}

#[cfg(test)]
mod tests {
    //! Goal: the table of floors fits the workloads, and what is below is named. Method: read it; a run in
    //! which each row is just what it must be, or a little worse.

    use super::*;
    use crate::catalog::WORKLOADS;
    use crate::engines::{BASE, ENGINES};
    use crate::job::{Cost, Memory, Outcome, Sizes};
    use crate::results::{EngineInfo, Header, Run};

    #[test]
    fn each_floor_is_of_a_workload_and_no_harder_than_the_aim() {
        let floors = Floors::read().unwrap();
        for floor in floors.all() {
            let row = WORKLOADS.iter().find(|row| row.name == floor.workload);
            let row = row.unwrap_or_else(|| panic!("no workload {}", floor.workload));
            let harder =
                if row.figure == Figure::Rate { floor.aim > floor.floor } else { floor.aim < floor.floor };
            assert!(harder, "{}", floor.workload);
        }
        let mut names: Vec<_> = floors.all().iter().map(|floor| &floor.workload).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), floors.all().len());
    }

    #[test]
    fn a_row_on_its_floor_passes_and_one_beyond_is_named() {
        for floor in Floors::read().unwrap().all() {
            let row = WORKLOADS.iter().find(|row| row.name == floor.workload).unwrap();
            let beyond = if row.figure == Figure::Rate { 0.99 } else { 1.01 };
            assert_eq!(misses(&run(row, floor.floor), &[row]).unwrap(), Vec::<String>::new());
            let found = misses(&run(row, floor.floor * beyond), &[row]).unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("{}: ", row.name)), "{found:?}");
        }
    }

    #[test]
    fn a_row_that_was_not_measured_is_missed() {
        let row = WORKLOADS.iter().find(|row| row.name == "get").unwrap();
        let mut results = run(row, 9.0);
        results.runs.retain(|run| run.engine != BASE);
        assert_eq!(misses(&results, &[row]).unwrap(), ["get: not measured, cannot be checked"]);
        let without = WORKLOADS.iter().find(|row| row.name == "close").unwrap();
        assert!(misses(&results, &[without]).is_err());
    }

    /// A run of one row in which Folio's figure is `value`, and LMDB's 1.
    fn run(row: &Workload, value: f64) -> Results {
        let outcome = |value: f64| {
            // Each figure has the value: a million units in such a time, so many MiB.
            #[expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]
            let bytes = (value * f64::from(1 << 20)) as u64;
            let seconds = if row.figure == Figure::Rate { 1.0 / value } else { value };
            Outcome {
                units: 1,
                cost: Cost { seconds, ..Cost::default() },
                size_bytes: Some(bytes),
                growth_bytes: Some(bytes as i64),
                size_to_live: Some(value),
                memory: Some(Memory { peak_anonymous_bytes: bytes, peak_resident_bytes: bytes }),
                close_seconds: Some(value),
                ..Outcome::default()
            }
        };
        let runs = [(JUDGED, value), (BASE, 1.0)].map(|(engine, value)| Run {
            engine: engine.to_owned(),
            set: row.set,
            step: row.step,
            round: 0,
            pass: 0,
            outcome: Some(outcome(value)),
            error: None,
        });
        let header = Header {
            date: String::new(),
            commit: String::new(),
            machine: Vec::new(),
            engines: ENGINES.iter().map(EngineInfo::of).collect(),
            rounds: 1,
            passes: 1,
            quick: false,
            seed: 1,
            sizes: Sizes::tiny(),
            device_counters: true,
            skipped: Vec::new(),
        };
        Results { header, runs: runs.into() }
    }
}
