//! Nothing but tests, in tests/it: what crosses processes has no other place.
