//! The one integration test binary. Each module opens with its goal and its method.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod corruption;
mod files;
mod mapping;
mod protocol;
mod space;
mod tidy;
