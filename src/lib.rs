//! The root package.
