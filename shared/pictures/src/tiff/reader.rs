//! The file as the decoder shall see it.

use std::io::{self, Read, Seek, SeekFrom};

use super::directory::Patch;
use crate::file_reader::{End, FileReader};

pub(super) struct Reader<'a> {
    file: FileReader<'a>,
    patches: Vec<Patch>,
    /// Whether the bits of each byte are read in reverse: of pixels that are stored so (`FillOrder` 2).
    pub(super) is_reversed: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a [u8], patches: Vec<Patch>) -> (Self, End) {
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
        for Patch { at, bytes } in &self.patches {
            for (place, byte) in (*at..).zip(bytes) {
                let place = place
                    .checked_sub(begin)
                    .and_then(|place| usize::try_from(place).ok());
                if let Some(target) = place.and_then(|place| read.get_mut(place)) {
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
