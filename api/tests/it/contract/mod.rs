//! The pinned behaviour on the wire: one complete response of each operation, one problem of each
//! kind that is easy to cause, and a frozen copy of the document.

mod answers;
mod difference;
mod frozen;
mod problems;
mod redaction;
mod snapshot;
