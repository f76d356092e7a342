//! Whether Folio keeps its floors: `floors.toml` against a run.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::catalog::{Figure, Workload};
use crate::results::Results;

/// The engine that has floors to keep.
const JUDGED: &str = "folio";

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

    pub(crate) fn of(&self, workload: &str) -> Option<&Floor> {
        self.floor.iter().find(|floor| floor.workload == workload)
    }
}

impl Floor {
    /// What is judged: the ratio or the value, as the table says.
    pub(crate) fn reached(&self, results: &Results, row: &Workload) -> Option<f64> {
        let cell = results.cell(row, JUDGED)?;
        if self.own { Some(cell.value.median) } else { cell.ratio.map(|ratio| ratio.median) }
    }

    pub(crate) fn is_kept(&self, reached: f64, row: &Workload) -> bool {
        if row.figure == Figure::Rate { reached >= self.floor } else { reached <= self.floor }
    }
}

/// Every row of the table that is missed, or was to be measured and was not. Workloads that were not asked for
/// are left out.
pub(crate) fn misses(results: &Results, workloads: &[&Workload]) -> Result<Vec<String>> {
    let floors = Floors::read()?;
    let mut misses = Vec::new();
    let mut judged = 0;
    for row in workloads {
        let Some(floor) = floors.of(row.name) else { continue };
        judged += 1;
        let side = if row.figure == Figure::Rate { "below" } else { "above" };
        match floor.reached(results, row) {
            None => misses.push(format!("{}: not measured, cannot be checked", row.name)),
            Some(reached) if floor.is_kept(reached, row) => {}
            Some(reached) => {
                let cpu = results.cell(row, JUDGED).and_then(|cell| cell.cpu_ratio);
                let cpu = cpu.map(|cpu| format!("; by CPU time {:.2}", cpu.median)).unwrap_or_default();
                misses.push(format!(
                    "{}: {reached:.2} is {side} the floor of {:.2} (aim {:.2}{cpu})",
                    row.name, floor.floor, floor.aim
                ));
            }
        }
    }
    ensure!(judged > 0, "--check: none of the workloads has a floor");
    println!("checked {judged} floors, {} missed", misses.len());
    Ok(misses)
}

#[cfg(test)]
mod tests {
    //! Goal: the table of floors fits the workloads. Method: read it.

    use super::*;
    use crate::catalog::WORKLOADS;

    #[test]
    fn each_floor_is_of_a_workload_and_no_harder_than_the_aim() {
        let floors = Floors::read().unwrap();
        for floor in &floors.floor {
            let row = WORKLOADS.iter().find(|row| row.name == floor.workload);
            let row = row.unwrap_or_else(|| panic!("no workload {}", floor.workload));
            assert!(floor.is_kept(floor.aim, row), "{}", floor.workload);
        }
        let mut names: Vec<_> = floors.floor.iter().map(|floor| &floor.workload).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), floors.floor.len());
    }
}
