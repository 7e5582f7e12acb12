//! The behaviour on the wire, pinned: one whole answer of each operation, one problem of each kind that is easy to
//! reach, and a frozen copy of the document.

mod answers;
mod difference;
mod frozen;
mod problems;
mod redaction;
mod snapshot;
