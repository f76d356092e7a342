//! Tests of the whole engine from inside the crate, where the simulated disk is.
//!
//! `ops` says what can be done, `model` does it to a database and to a map; the others use both.

mod model;
mod ops;

use proptest::prelude::*;

use model::Driver;
use ops::{Mix, Op, Setup};

/// Runs the operations, and at the end deletes everything and looks for what is lost.
fn against_the_model(setup: Setup, ops: &[Op]) {
    let mut driver = Driver::new(setup).unwrap();
    driver.run(ops).unwrap();
    driver.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Goal: the database is its model, whatever is done and however it is opened.
    /// Method: random operations to both, the whole-file check after every commit, and a search for lost pages.
    #[test]
    fn the_database_is_a_map_per_version(
        setup in ops::setup(),
        ops in prop::collection::vec(ops::op(Mix::ALL), 1..150),
    ) {
        against_the_model(setup, &ops);
    }
}
