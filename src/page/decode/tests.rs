//! Goal: a page taken apart says what the engine would say of it, and no bytes make it fail.
