//! The reader through which decoders read a file in memory.

use std::cell::Cell;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use crate::Unreadable;

/// Records whether a decoder tried to read beyond the end of the file.
#[derive(Clone, Default)]
pub(crate) struct EndOfFile(Rc<Cell<bool>>);

impl EndOfFile {
    pub(crate) fn is_passed(&self) -> bool {
        self.0.get()
    }

    /// Returns the reason of a failure: if the file ended too early, damage means truncation.
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
    end: EndOfFile,
}

impl<'a> FileReader<'a> {
    pub(crate) fn new(file: &'a [u8]) -> (Self, EndOfFile) {
        let end = EndOfFile::default();
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
        let position = self.file.seek(to)?;
        if position > u64::try_from(self.file.get_ref().len()).unwrap_or(u64::MAX) {
            self.end.0.set(true);
        }
        Ok(position)
    }
}
