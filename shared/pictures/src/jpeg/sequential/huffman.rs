//! Huffman codes (T.81, annexes C and F.2.2.3), with the number that follows a code (F.2.2.1) looked up along with it where
//! both are short.

use super::Irregular;
use super::bits::Bits;

/// Bits that are looked up at once. More of them find more codes, and leave less of the processor's cache.
pub(super) const AT_ONCE: u8 = 10;

/// The longest code, in bits.
const LONGEST: u8 = 16;

/// Lengths of codes, and none.
const LENGTHS: usize = LONGEST as usize + 1;

/// The run of the end of a block: it leads beyond every block.
pub(super) const END_OF_BLOCK: u8 = 128;

/// The run of the code for sixteen zeros.
const ZEROS: u8 = 15;

/// What a code says together with the number behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Coefficient {
    pub(super) value: i16,
    /// Zeros before it.
    pub(super) run: u8,
}

/// A coefficient all of whose bits are known.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    value: i16,
    run: u8,
    /// Bits; zero where more would have to be known.
    length: u8,
}

/// A table of codes.
pub(super) struct Codes {
    known: [Known; 1 << AT_ONCE],
    /// Behind the last code of each length, all of them written as 16 bits.
    ends: [u32; LENGTHS],
    /// The place of the value of the first code of each length, less that code.
    offsets: [u32; LENGTHS],
    values: Vec<u8>,
}

impl Codes {
    /// Of how many codes there are of each length, and of their values in order.
    pub(super) fn new(counts: [u8; LONGEST as usize], values: &[u8]) -> Result<Self, Irregular> {
        let mut codes = Self {
            known: [Known::default(); 1 << AT_ONCE],
            ends: [0; LENGTHS],
            offsets: [0; LENGTHS],
            values: values.to_vec(),
        };
        let (mut code, mut place, mut values) = (0_u32, 0_u32, values.iter());
        for (length, count) in (1_u8..).zip(counts) {
            let of_length = usize::from(length);
            codes.offsets[of_length] = place.wrapping_sub(code);
            for value in values.by_ref().take(count.into()) {
                codes.know(code, length, *value);
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return Err(Irregular);
            }
            codes.ends[of_length] = code << (LONGEST - length);
            code <<= 1;
        }
        Ok(codes)
    }

    /// Notes what a code and each number behind it say, if their bits are few enough.
    fn know(&mut self, code: u32, length: u8, value: u8) {
        let bits = length + size(value);
        let Some(unknown) = AT_ONCE.checked_sub(bits) else { return };
        for number in 0..1_u16 << size(value) {
            let Coefficient { value: meant, run } = coefficient(value, number);
            let known = Known { value: meant, run, length: bits };
            let first = (code << size(value) | u32::from(number)) << unknown;
            let first = usize::try_from(first).expect("32 bits fit");
            if let Some(all) = self.known.get_mut(first..first + (1 << unknown)) {
                all.fill(known);
            }
        }
    }

    /// The next coefficient, if its bits are few: no more than [`AT_ONCE`], which must be there.
    #[inline]
    pub(super) fn short(&self, bits: &mut Bits<'_>) -> Option<Coefficient> {
        let known = self.known[usize::from(bits.peek(AT_ONCE))];
        bits.skip(known.length);
        (known.length > 0).then_some(Coefficient { value: known.value, run: known.run })
    }

    /// The next coefficient, of no more than 31 bits, which must be there.
    pub(super) fn any(&self, bits: &mut Bits<'_>) -> Result<Coefficient, Irregular> {
        let next = u32::from(bits.peek(LONGEST));
        let is_longer = |length: &u8| next >= self.ends[usize::from(*length)];
        let length = (1..=LONGEST).find(|length| !is_longer(length)).ok_or(Irregular)?;
        let place = (next >> (LONGEST - length)).wrapping_add(self.offsets[usize::from(length)]);
        let value = usize::try_from(place).ok().and_then(|place| self.values.get(place));
        let value = *value.ok_or(Irregular)?;
        bits.skip(length);
        let number = bits.peek(size(value));
        bits.skip(size(value));
        Ok(coefficient(value, number))
    }
}

/// Bits of the number behind a code of this value.
fn size(value: u8) -> u8 {
    value & 15
}

/// What a code's value and the number behind it mean (T.81, tables F.1 and F.2, and EXTEND in F.2.2.1).
fn coefficient(value: u8, number: u16) -> Coefficient {
    let (run, size) = (value >> 4, size(value));
    if size == 0 {
        // The last of sixteen zeros stands for the coefficient.
        return Coefficient { value: 0, run: if run == ZEROS { ZEROS } else { END_OF_BLOCK } };
    }
    let is_negative = number < 1 << (size - 1);
    let least = if is_negative { (1_u16 << size) - 1 } else { 0 };
    Coefficient { value: number.wrapping_sub(least).cast_signed(), run }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_a_code_are_those_of_the_standard() {
        let expected =
            [(0x01, 0, -1), (0x01, 1, 1), (0x02, 0, -3), (0x02, 1, -2), (0x02, 2, 2), (0x02, 3, 3)];
        for (value, number, meant) in expected {
            assert_eq!(coefficient(value, number), Coefficient { value: meant, run: 0 });
        }
        assert_eq!(coefficient(0x3f, 0), Coefficient { value: -32_767, run: 3 });
        assert_eq!(coefficient(0x3f, 32_767), Coefficient { value: 32_767, run: 3 });
        assert_eq!(coefficient(0xf0, 0), Coefficient { value: 0, run: 15 });
        assert_eq!(coefficient(0x00, 0).run, END_OF_BLOCK);
    }

    #[test]
    fn more_codes_of_a_length_than_it_has_are_no_table() {
        let counts =
            |length: usize, count| std::array::from_fn(|place| if place + 1 == length { count } else { 0 });
        assert!(Codes::new(counts(2, 4), &[1, 2, 3, 4]).is_ok());
        assert!(Codes::new(counts(2, 5), &[1, 2, 3, 4, 5]).is_err());
        assert!(Codes::new(counts(1, 3), &[1, 2, 3]).is_err());
        assert!(Codes::new(counts(16, 255), &[1; 255]).is_ok());
    }

    #[test]
    fn codes_are_found_by_a_look_and_by_their_length_alike() {
        // One code of each length, as long as there is room: 0, 10, 110 and so on.
        let values: Vec<u8> = (0..16).map(|place| place << 4 | 1).collect();
        let codes = Codes::new([1; 16], &values).expect("a table");
        for length in 1..=16_u8 {
            let length_of_ones = u32::from(length) - 1;
            let ones = u32::MAX.checked_shl(32 - length_of_ones).unwrap_or(0);
            let number = 1 << (31 - u32::from(length));
            let data = (ones | number).to_be_bytes();
            let data: Vec<u8> = data
                .iter()
                .flat_map(|byte| if *byte == 0xff { vec![0xff, 0] } else { vec![*byte] })
                .collect();
            let (mut once, mut again) = (Bits::new(&data), Bits::new(&data));
            once.refill();
            again.refill();
            let found = codes.any(&mut again).expect("a code");
            assert_eq!(found, Coefficient { value: 1, run: length - 1 });
            assert_eq!(codes.short(&mut once), (length < AT_ONCE).then_some(found));
        }
    }
}
