//! The samples of a picture, put together from its strips, tiles and planes.

use super::{Tiff, length};
use crate::Unreadable;

/// What a strip or tile has.
pub(super) struct Chunk<T> {
    pub(super) values: Vec<T>,
    /// The rows that the file has of it, if it is cut off within.
    pub(super) rows: Option<usize>,
}

impl<T> From<Vec<T>> for Chunk<T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, rows: None }
    }
}

/// The samples that are kept, pixel by pixel.
pub(super) struct Samples<T> {
    pub(super) values: Vec<T>,
    /// The rows that are there.
    pub(super) rows: u32,
}

/// Reads strips or tiles by their numbers with `decode` until the picture, or a file that is cut off, ends.
///
/// # Errors
/// Those of `decode`; [`Unreadable::CutOff`] if there is not a single row.
pub(super) fn read<T: Copy + Default>(
    tiff: &mut Tiff<'_>,
    decode: impl Fn(&mut Tiff<'_>, u32) -> Result<Chunk<T>, Unreadable>,
) -> Result<Samples<T>, Unreadable> {
    // Only of pixels that the decoder reads: the bytes of a fax are reversed after they were found by tags.
    tiff.decoder.inner().is_reversed = tiff.layout.is_reversed && tiff.layout.fax.is_none();
    let (width, height) = (length(tiff.size.0)?, length(tiff.size.1)?);
    let (chunk_width, chunk_height) = tiff.decoder.chunk_dimensions();
    let (across, down) = (
        tiff.size.0.div_ceil(chunk_width),
        tiff.size.1.div_ceil(chunk_height),
    );
    let (chunk_width, chunk_height) = (length(chunk_width)?, length(chunk_height)?);
    let (across, down) = (length(across)?, length(down)?);
    let kept = tiff.layout.kept();
    let (planes, of_chunk) = if tiff.layout.is_planar {
        (kept, 1)
    } else {
        (1, tiff.layout.samples)
    };
    let mut values = vec![T::default(); width * height * kept];
    let mut index = 0;
    for plane in 0..planes {
        for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column)))
        {
            let (top, left) = (row * chunk_height, column * chunk_width);
            let wide = length(tiff.decoder.chunk_data_dimensions(index).0)?;
            let chunk = match decode(tiff, index) {
                Ok(chunk) => chunk,
                Err(Unreadable::CutOff) => Chunk {
                    values: Vec::new(),
                    rows: Some(0),
                },
                Err(reason) => return Err(reason),
            };
            for (y, from) in (top..height).zip(chunk.values.chunks_exact(wide * of_chunk)) {
                let begin = (y * width + left) * kept;
                let into = values[begin..begin + wide * kept].chunks_exact_mut(kept);
                for (pixel, from) in into.zip(from.chunks_exact(of_chunk)) {
                    if tiff.layout.is_planar {
                        pixel[plane] = from[0];
                    } else {
                        pixel.copy_from_slice(&from[..kept]);
                    }
                }
            }
            if let Some(rows) = chunk.rows {
                // Without a plane a row has no colour, and without a tile it has a gap.
                let rows = top + if across == 1 { rows } else { 0 };
                let is_shown = plane + 1 == planes && rows > 0;
                let rows = u32::try_from(rows).unwrap_or(tiff.size.1);
                return if is_shown {
                    Ok(Samples { values, rows })
                } else {
                    Err(Unreadable::CutOff)
                };
            }
            index += 1;
        }
    }
    Ok(Samples {
        values,
        rows: tiff.size.1,
    })
}

/// Gives each sample of fewer than 8 bits a byte. Rows begin with a byte.
pub(super) fn unpack(bytes: &[u8], row: usize, bits: u8) -> Vec<u8> {
    let of_byte = usize::from(8 / bits);
    let mask = (1 << bits) - 1;
    let rows = bytes.chunks_exact(row.div_ceil(of_byte).max(1));
    let samples = rows.flat_map(|bytes| {
        let samples = bytes
            .iter()
            .flat_map(|byte| (1..=8 / bits).map(move |place| byte >> (8 - place * bits) & mask));
        samples.take(row)
    });
    samples.collect()
}
