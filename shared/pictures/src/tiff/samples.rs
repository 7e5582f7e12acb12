//! The samples of a picture, assembled from its strips, tiles and planes.

use super::{Tiff, to_usize};
use crate::Unreadable;

/// The samples of a strip or tile.
pub(super) struct Chunk<T> {
    pub(super) values: Vec<T>,
    /// The number of rows in the file, if the file is truncated within the strip or tile.
    pub(super) rows: Option<usize>,
}

impl<T> From<Vec<T>> for Chunk<T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, rows: None }
    }
}

/// The kept samples, pixel by pixel.
pub(super) struct Samples<T> {
    pub(super) values: Vec<T>,
    /// The number of rows in the file.
    pub(super) rows: u32,
}

/// Decodes strips or tiles in order with `decode`, to the end of the picture or of a truncated
/// file.
///
/// # Errors
/// Returns errors of `decode`, and [`Unreadable::CutOff`] if not even one row can be decoded.
pub(super) fn read<T: Copy + Default>(
    tiff: &mut Tiff<'_>,
    decode: impl Fn(&mut Tiff<'_>, u32) -> Result<Chunk<T>, Unreadable>,
) -> Result<Samples<T>, Unreadable> {
    // Only for pixels that the decoder reads. The bytes of a fax are reversed after they were
    // located.
    tiff.decoder.inner().is_reversed = tiff.layout.is_reversed && tiff.layout.fax.is_none();
    let (width, height) = (to_usize(tiff.size.0)?, to_usize(tiff.size.1)?);
    let (chunk_width, chunk_height) = tiff.decoder.chunk_dimensions();
    let (across, down) = (
        tiff.size.0.div_ceil(chunk_width),
        tiff.size.1.div_ceil(chunk_height),
    );
    let (chunk_width, chunk_height) = (to_usize(chunk_width)?, to_usize(chunk_height)?);
    let (across, down) = (to_usize(across)?, to_usize(down)?);
    let channels = tiff.layout.kept_samples();
    let (planes, samples_per_pixel) = if tiff.layout.is_planar {
        (channels, 1)
    } else {
        (1, tiff.layout.samples)
    };
    let mut values = vec![T::default(); width * height * channels];
    let mut index = 0;
    for plane in 0..planes {
        for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column)))
        {
            let (top, left) = (row * chunk_height, column * chunk_width);
            let wide = to_usize(tiff.decoder.chunk_data_dimensions(index).0)?;
            let chunk = match decode(tiff, index) {
                Ok(chunk) => chunk,
                Err(Unreadable::CutOff) => Chunk {
                    values: Vec::new(),
                    rows: Some(0),
                },
                Err(reason) => return Err(reason),
            };
            for (y, from) in (top..height).zip(chunk.values.chunks_exact(wide * samples_per_pixel))
            {
                let begin = (y * width + left) * channels;
                let into = values[begin..begin + wide * channels].chunks_exact_mut(channels);
                for (pixel, from) in into.zip(from.chunks_exact(samples_per_pixel)) {
                    if tiff.layout.is_planar {
                        pixel[plane] = from[0];
                    } else {
                        pixel.copy_from_slice(&from[..channels]);
                    }
                }
            }
            if let Some(rows) = chunk.rows {
                // A row without one of its planes has no colour, and a row without one of its tiles
                // has a gap.
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

/// Expands each sample of fewer than 8 bits to a byte. Each row begins with a new byte.
pub(super) fn unpack(bytes: &[u8], row: usize, bits: u8) -> Vec<u8> {
    let samples_per_byte = usize::from(8 / bits);
    let mask = (1 << bits) - 1;
    let rows = bytes.chunks_exact(row.div_ceil(samples_per_byte).max(1));
    let samples = rows.flat_map(|bytes| {
        let samples = bytes
            .iter()
            .flat_map(|byte| (1..=8 / bits).map(move |index| byte >> (8 - index * bits) & mask));
        samples.take(row)
    });
    samples.collect()
}
