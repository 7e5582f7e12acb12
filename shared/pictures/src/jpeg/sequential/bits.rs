//! The bits of a scan (T.81, F.2.2.5), up to the next marker.

use super::Irregular;

/// What a byte of all ones is followed by where it is no marker.
const STUFFING: u8 = 0;

/// The marker of the first restart; seven others follow it.
const RESTART: u8 = 0xd0;

/// Bits that are there after a refill.
const FILLED: u32 = 56;

/// Bits of a scan, from the first to the last. Behind the last one come zeros, which [`Bits::ran_over`] tells.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte.
    at: usize,
    /// The next bits, from the highest one on; below them may already stand a part of the next byte.
    buffer: u64,
    /// How many of them count.
    count: u32,
    /// Zeros that were added behind the last one.
    added: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0, added: 0 }
    }

    /// After it at least 56 bits are there.
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some(bytes) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            let next = u64::from_be_bytes(*bytes);
            if !has_ones(next) {
                self.buffer |= next >> self.count;
                self.at += (63 - self.count as usize) / 8;
                self.count += (63 - self.count) & !7;
                return;
            }
        }
        self.refill_bytewise();
    }

    #[cold]
    fn refill_bytewise(&mut self) {
        while self.count < FILLED {
            let byte = match self.data.get(self.at..) {
                Some([0xff, STUFFING, ..]) => {
                    self.at += 2;
                    0xff
                }
                None | Some([] | [0xff, ..]) => {
                    self.added += 8;
                    0
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (FILLED - self.count);
            self.count += 8;
        }
    }

    /// So many of the next bits, 16 at most, which must be there.
    #[inline]
    pub(super) fn peek(&self, count: u8) -> u16 {
        let [first, second, ..] = self.buffer.to_be_bytes();
        u16::from_be_bytes([first, second]).unbounded_shr(16 - u32::from(count))
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u8) {
        self.buffer <<= count;
        self.count -= u32::from(count);
    }

    /// Whether more bits were read than there are.
    pub(super) fn ran_over(&self) -> bool {
        self.added > self.count
    }

    /// Goes on behind the marker of a restart, which follows at once.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Irregular> {
        self.refill();
        let is_at_marker = !self.ran_over() && self.count - self.added < 8;
        let marker = [0xff, RESTART + number % 8];
        if !is_at_marker || !self.data[self.at..].starts_with(&marker) {
            return Err(Irregular);
        }
        *self = Self { at: self.at + marker.len(), ..Self::new(self.data) };
        Ok(())
    }
}

/// Whether one of the bytes is all ones.
fn has_ones(bytes: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Of the others, less one from the complement, the highest bit changes as that of the byte does not.
    (!bytes).wrapping_sub(LOW) & bytes & HIGH != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_byte_of_ones_is_seen_wherever_it_stands(bytes in any::<u64>(), place in 0..8_usize, is_there: bool) {
            let mut bytes = bytes.to_be_bytes().map(|byte| byte.min(0xfe));
            if is_there {
                bytes[place] = 0xff;
            }
            prop_assert_eq!(has_ones(u64::from_be_bytes(bytes)), is_there);
        }

        #[test]
        fn bits_come_as_they_were_written(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff)], 0..60),
            counts in prop::collection::vec(1..=16_u8, 0..60),
        ) {
            let written: Vec<u8> =
                bytes.iter().flat_map(|byte| if *byte == 0xff { vec![0xff, 0] } else { vec![*byte] }).collect();
            let mut bits = Bits::new(&written);
            let mut taken = 0_usize;
            for count in counts {
                bits.refill();
                let expected = (taken..taken + usize::from(count)).fold(0, |sum, place| {
                    let byte = bytes.get(place / 8).copied().unwrap_or(0);
                    sum << 1 | u16::from(byte >> (7 - place % 8) & 1)
                });
                prop_assert_eq!(bits.peek(count), expected);
                bits.skip(count);
                taken += usize::from(count);
                prop_assert_eq!(bits.ran_over(), taken > bytes.len() * 8);
            }
        }
    }

    #[test]
    fn a_restart_is_where_less_than_a_byte_is_left() {
        let data = [0xab, 0xff, 0xd3, 0xcd];
        let after = |skipped: u8, number: u8| {
            let mut bits = Bits::new(&data);
            bits.refill();
            bits.skip(skipped);
            bits.restart(number).map(|()| {
                bits.refill();
                bits.peek(8)
            })
        };
        assert_eq!(after(1, 3), Ok(0xcd));
        assert_eq!(after(8, 3), Ok(0xcd));
        assert_eq!(after(5, 11), Ok(0xcd));
        assert_eq!(after(0, 3), Err(Irregular));
        assert_eq!(after(9, 3), Err(Irregular));
        assert_eq!(after(8, 4), Err(Irregular));
    }
}
