//! The reader through which `tiff` reads the file, with patches.

use std::io::{self, Read, Seek, SeekFrom};

use super::directory::Patch;
use crate::file_reader::{EndOfFile, FileReader};

pub(super) struct Reader<'a> {
    file: FileReader<'a>,
    patches: Vec<Patch>,
    /// Whether the bits of each byte are read in reverse (`FillOrder` 2). Set only while pixels are
    /// read.
    pub(super) is_reversed: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a [u8], patches: Vec<Patch>) -> (Self, EndOfFile) {
        let (file, end) = FileReader::new(file);
        (
            Self {
                file,
                patches,
                is_reversed: false,
            },
            end,
        )
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begin = self.file.position();
        let count = self.file.read(buffer)?;
        let read = &mut buffer[..count];
        for Patch { offset, bytes } in &self.patches {
            for (position, byte) in (*offset..).zip(bytes) {
                let position = position
                    .checked_sub(begin)
                    .and_then(|position| usize::try_from(position).ok());
                if let Some(target) = position.and_then(|position| read.get_mut(position)) {
                    *target = *byte;
                }
            }
        }
        if self.is_reversed {
            for byte in read.iter_mut() {
                *byte = byte.reverse_bits();
            }
        }
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
