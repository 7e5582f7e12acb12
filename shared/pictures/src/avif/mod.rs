//! AVIF: the primary picture, decoded by rav1d without threads. Tiles, layers and animations
//! without a still picture are refused.

mod container;
mod planes;

use image::error::{DecodingError, ImageFormatHint, LimitError, LimitErrorKind};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageResult};
use re_rav1d::dav1d::{Decoder, Error, Picture, Settings};

use crate::{Unreadable, cicp};
use container::{CodePoints, Container, Item};

/// Maximum bytes per pixel that the decoder holds: three samples of two bytes, and data about
/// blocks.
const DECODER_BYTES_PER_PIXEL: u64 = 7;

/// Primaries wider than those of sRGB (ITU-T H.273, table 2).
const WIDE_PRIMARIES: [u16; 4] = [9, 10, 11, 12];

/// Transfer functions of high dynamic range: PQ and HLG (table 3).
const HDR_TRANSFERS: [u16; 2] = [cicp::PQ, cicp::HLG];

/// A picture whose container was read.
pub(crate) struct Avif<'a>(Container<'a>);

impl<'a> Avif<'a> {
    /// Opens a file, and reads only the container.
    pub(crate) fn open(file: &'a [u8]) -> Result<Self, Unreadable> {
        container::read(file).map(Self)
    }

    /// Returns the memory for decoding in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let (width, height) = self.0.size;
        let pixels = u64::from(width) * u64::from(height);
        self.total_bytes()
            .saturating_add(pixels.saturating_mul(DECODER_BYTES_PER_PIXEL))
    }

    /// Decodes the picture, or its alpha, which has the same size.
    fn decode(&self, item: &Item<'_>) -> ImageResult<Picture> {
        let (width, height) = self.0.size;
        let mut settings = Settings::new();
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_all_layers(false);
        // Film grain is a visual effect that derived images do not need.
        settings.set_apply_grain(false);
        settings.set_frame_size_limit(width.saturating_mul(height));
        let mut decoder = Decoder::with_settings(&settings).map_err(to_image_error)?;
        match decoder.send_data(item.bytes(), None, None, None) {
            // `Again` means that the data contains more than one picture.
            Ok(()) | Err(Error::Again) => {}
            Err(error) => return Err(to_image_error(error)),
        }
        let picture = decoder.get_picture().map_err(to_image_error)?;
        if (picture.width(), picture.height()) == self.0.size {
            Ok(picture)
        } else {
            Err(damaged())
        }
    }
}

impl ImageDecoder for Avif<'_> {
    fn dimensions(&self) -> (u32, u32) {
        self.0.size
    }

    fn color_type(&self) -> ColorType {
        if self.0.alpha.is_some() {
            ColorType::Rgba8
        } else {
            ColorType::Rgb8
        }
    }

    fn icc_profile(&mut self) -> ImageResult<Option<Vec<u8>>> {
        Ok(self
            .0
            .profile
            .map(<[u8]>::to_vec)
            .or_else(|| self.0.colours.and_then(profile)))
    }

    fn exif_metadata(&mut self) -> ImageResult<Option<Vec<u8>>> {
        let exif = self.0.exif.as_ref().map(Item::bytes);
        Ok(exif.and_then(|exif| {
            let (head, rest) = exif.split_first_chunk()?;
            // The distance to the TIFF header.
            rest.get(usize::try_from(u32::from_be_bytes(*head)).ok()?..)
                .map(<[u8]>::to_vec)
        }))
    }

    /// The orientation in EXIF does not apply (ISO/IEC 23008-12, annex A).
    fn orientation(&mut self) -> ImageResult<Orientation> {
        Ok(self.0.orientation)
    }

    fn read_image(self, pixels: &mut [u8]) -> ImageResult<()> {
        let width = usize::try_from(self.0.size.0).map_err(|_| damaged())?;
        let bytes = usize::from(self.color_type().bytes_per_pixel());
        let picture = self.decode(&self.0.picture)?;
        planes::write_colours(&picture, self.0.colours, pixels, width, bytes);
        drop(picture);
        if let Some(alpha) = &self.0.alpha {
            planes::write_alpha(&self.decode(alpha)?, self.0.is_premultiplied, pixels, width);
        }
        Ok(())
    }

    fn read_image_boxed(self: Box<Self>, pixels: &mut [u8]) -> ImageResult<()> {
        (*self).read_image(pixels)
    }
}

/// Returns the profile of wide colours or of high dynamic range. All other colours are treated as
/// sRGB.
fn profile(colours: CodePoints) -> Option<Vec<u8>> {
    let is_hdr = HDR_TRANSFERS.contains(&colours.transfer);
    if !is_hdr && !WIDE_PRIMARIES.contains(&colours.primaries) {
        return None;
    }
    let transfer = if is_hdr { colours.transfer } else { cicp::SRGB };
    cicp::profile(colours.primaries, transfer)?.encode().ok()
}

fn to_image_error(error: Error) -> ImageError {
    match error {
        Error::NotEnoughMemory => {
            ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory))
        }
        _ => damaged(),
    }
}

fn damaged() -> ImageError {
    ImageError::Decoding(DecodingError::from_format_hint(ImageFormatHint::Exact(
        ImageFormat::Avif,
    )))
}
