//! The engine on a simulated disk, for tests and fuzzers: with the feature `simulation`, and in tests.
//!
//! `ops` says what can be done, in one enum for every driver; `model` does it to a database and to a map;
//! `version` says what a snapshot must then be; `explore` looks at crashes of it; `seen` counts what was met.

pub(crate) mod explore;
pub(crate) mod model;
pub(crate) mod ops;
pub(crate) mod seen;
pub(crate) mod version;
