//! Decoding of fax compression, which is black and white (ITU-T T.4 and T.6; TIFF 6.0, sections 10
//! and 11).

use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode, decode};

/// The encoding of rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fax {
    /// Run lengths; each row begins with a new byte.
    Huffman,
    /// Run lengths with an end-of-line code between rows. In the two-dimensional form, some rows
    /// are encoded as differences from the row above.
    Group3 { is_two_dimensional: bool },
    /// All rows are encoded as differences from the row above.
    Group4,
}

/// Decodes rows of `columns` pixels to a sample for each of the first `width` and `height` of them:
/// 0 for white, 1 for black. Rows after the first damage are white, as in libtiff. Also returns the
/// number of decoded rows.
pub(super) fn decode_rows(
    fax: Fax,
    data: &[u8],
    columns: u32,
    width: usize,
    height: usize,
) -> (Vec<u8>, usize) {
    let mut context = DecoderContext::new(DecodeSettings {
        columns,
        rows: u32::try_from(height).unwrap_or(u32::MAX),
        end_of_block: fax != Fax::Huffman,
        end_of_line: matches!(fax, Fax::Group3 { .. }),
        rows_are_byte_aligned: fax == Fax::Huffman,
        encoding: match fax {
            Fax::Huffman
            | Fax::Group3 {
                is_two_dimensional: false,
            } => EncodingMode::Group3_1D,
            Fax::Group3 {
                is_two_dimensional: true,
            } => EncodingMode::Group3_2D,
            Fax::Group4 => EncodingMode::Group4,
        },
        strict: false,
    });
    let mut rows = Rows {
        width,
        samples: vec![0; width * height],
        decoded: 0,
    };
    // An error ends the decoding; the rows before it are complete.
    let _ = decode(data, &mut rows, &mut context);
    (rows.samples, rows.decoded)
}

struct Rows {
    width: usize,
    samples: Vec<u8>,
    decoded: usize,
}

impl Decoder for Rows {
    fn push_row(&mut self, changes: &[u32]) {
        let begin = self.decoded * self.width;
        let Some(row) = self.samples.get_mut(begin..begin + self.width) else {
            return;
        };
        for black in changes.chunks(2) {
            let edge = |column: Option<&u32>| {
                let column = column.and_then(|column| usize::try_from(*column).ok());
                column.unwrap_or(self.width).min(self.width)
            };
            row[edge(black.first())..edge(black.get(1))].fill(1);
        }
        self.decoded += 1;
    }
}
