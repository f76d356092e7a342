//! The one integration test binary. Each module opens with its goal and its method.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod copy;
mod corruption;
mod files;
mod fixtures;
mod full_disk;
mod hostile;
mod kill;
mod mapping;
mod mutations;
mod powercut;
mod processes;
mod protocol;
mod space;
mod syscalls;
mod tidy;
mod torture;
