//! The file as a decoder reads it.

use std::cell::Cell;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use crate::Unreadable;

/// Whether a decoder wanted more of a file than there is.
#[derive(Clone, Default)]
pub(crate) struct End(Rc<Cell<bool>>);

impl End {
    pub(crate) fn is_passed(&self) -> bool {
        self.0.get()
    }

    /// Returns the reason of a failure: what the decoder takes for damage is a cut if the file ended too early.
    pub(crate) fn explain(&self, reason: Unreadable) -> Unreadable {
        if reason == Unreadable::Damaged && self.is_passed() {
            Unreadable::CutOff
        } else {
            reason
        }
    }
}

/// Reads a file in memory.
pub(crate) struct FileReader<'a> {
    file: Cursor<&'a [u8]>,
    end: End,
}

impl<'a> FileReader<'a> {
    pub(crate) fn new(file: &'a [u8]) -> (Self, End) {
        let end = End::default();
        (
            Self {
                file: Cursor::new(file),
                end: end.clone(),
            },
            end,
        )
    }

    pub(crate) fn position(&self) -> u64 {
        self.file.position()
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.end.0.set(true);
        }
        Ok(count)
    }
}

impl BufRead for FileReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = self.file.fill_buf()?;
        if rest.is_empty() {
            self.end.0.set(true);
        }
        Ok(rest)
    }

    fn consume(&mut self, amount: usize) {
        self.file.consume(amount);
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = self.file.seek(to)?;
        if place > u64::try_from(self.file.get_ref().len()).unwrap_or(u64::MAX) {
            self.end.0.set(true);
        }
        Ok(place)
    }
}
