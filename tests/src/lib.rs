//! An empty library. The tests that need several processes are in `tests/it`.
