//! `cargo dev breached`: writes the list of breached and common passwords that the product refuses,
//! from plain text lists. The product's module `password_policy::breached` reads it and documents
//! the format.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use unicode_normalization::UnicodeNormalization as _;

use crate::cli::Breached;
use crate::console;
use crate::layout::Layout;

/// The bytes of a SHA-256 that an entry keeps.
const HASH_BYTES: usize = 5;
/// Under 2 MB, because the list is compiled into the product.
const MAX_ENTRIES: usize = 2_000_000 / HASH_BYTES - 1;

pub(crate) fn run(layout: &Layout, args: &Breached) -> Result<ExitCode> {
    let mut list = List::new(MAX_ENTRIES);
    for file in &args.files {
        let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let taken = list.take(&text);
        console::note(&format!("{}: {taken} new entries", file.display()));
    }
    if list.is_full() {
        console::note("the list is full: later entries were left out");
    }
    let bytes = list.bytes();
    let path = path(layout);
    fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    console::print(&format!(
        "{} entries, {} bytes",
        bytes.len() / HASH_BYTES,
        bytes.len()
    ));
    Ok(ExitCode::SUCCESS)
}

fn path(layout: &Layout) -> PathBuf {
    layout
        .root
        .join("shared/core/src/auth/password_policy/breached.bin")
}

/// The entries so far, as their truncated hashes.
struct List {
    hashes: BTreeSet<[u8; HASH_BYTES]>,
    most: usize,
}

impl List {
    fn new(most: usize) -> Self {
        Self {
            hashes: BTreeSet::new(),
            most,
        }
    }

    fn is_full(&self) -> bool {
        self.hashes.len() == self.most
    }

    /// Adds the passwords of a text in their order, until the list is full. Returns the number of
    /// new entries. Skips lines that are not UTF-8: no client can send them.
    fn take(&mut self, text: &[u8]) -> usize {
        let before = self.hashes.len();
        for line in text.split(|byte| *byte == b'\n') {
            if self.is_full() {
                break;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(hash) = str::from_utf8(line).ok().and_then(hash) {
                self.hashes.insert(hash);
            }
        }
        self.hashes.len() - before
    }

    fn bytes(&self) -> Vec<u8> {
        self.hashes.iter().flatten().copied().collect()
    }
}

/// Returns the entry of a password, or `None` if its length is refused anyway.
fn hash(password: &str) -> Option<[u8; HASH_BYTES]> {
    let normalised: String = password.nfkc().collect();
    (8..=128).contains(&normalised.chars().count()).then(|| {
        let hash = digest(&SHA256, normalised.to_lowercase().as_bytes());
        *hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_once_whatever_its_case_and_line_end() {
        let mut list = List::new(10);
        assert_eq!(list.take(b"password1\nPassword1\r\npassword2"), 2);
        assert_eq!(list.take(b"PASSWORD2\n"), 0);
    }

    #[test]
    fn a_length_that_is_refused_anyway_is_left_out() {
        let mut list = List::new(10);
        let long = "x".repeat(129);
        assert_eq!(
            list.take(format!("1234567\n\n{long}\n12345678\n{}\n", &long[1..]).as_bytes()),
            2
        );
    }

    #[test]
    fn a_line_that_is_no_utf8_is_passed_over() {
        assert_eq!(List::new(10).take(b"caf\xe9cafe\ncaf\xc3\xa9cafe\n"), 1);
    }

    #[test]
    fn what_comes_first_is_taken_when_there_is_no_room_for_all() {
        let mut list = List::new(1);
        assert_eq!(list.take(b"password1\npassword2\n"), 1);
        assert!(list.is_full());
        assert_eq!(list.bytes(), hash("password1").unwrap());
    }

    #[test]
    fn the_bytes_are_the_first_five_of_each_hash_in_order() {
        let mut list = List::new(10);
        list.take(b"12345678\npassword\n");
        // sha256sum: ef797c8118f02dfb…, 5e884898da280471…
        assert_eq!(
            list.bytes(),
            [0x5e, 0x88, 0x48, 0x98, 0xda, 0xef, 0x79, 0x7c, 0x81, 0x18]
        );
    }
}
