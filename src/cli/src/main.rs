//! The `folio` tool.
fn main() {}
