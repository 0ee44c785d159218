//! Laid out; built in the commits that follow.
