//! Pictures of truncated files, which have only their first rows.

use image::{DynamicImage, ImageBuffer, Pixel, Primitive};

/// Makes the rows from `first` on transparent, as browsers show missing rows.
pub(crate) fn clear_rows_from(picture: DynamicImage, first: u32) -> DynamicImage {
    if first >= picture.height() {
        return picture;
    }
    let mut picture = match picture {
        DynamicImage::ImageLuma8(_) => picture.into_luma_alpha8().into(),
        DynamicImage::ImageRgb8(_) => picture.into_rgba8().into(),
        DynamicImage::ImageLuma16(_) => picture.into_luma_alpha16().into(),
        DynamicImage::ImageRgb16(_) => picture.into_rgba16().into(),
        DynamicImage::ImageRgb32F(_) => picture.into_rgba32f().into(),
        other => other,
    };
    match &mut picture {
        DynamicImage::ImageLumaA8(pixels) => clear(pixels, first),
        DynamicImage::ImageRgba8(pixels) => clear(pixels, first),
        DynamicImage::ImageLumaA16(pixels) => clear(pixels, first),
        DynamicImage::ImageRgba16(pixels) => clear(pixels, first),
        DynamicImage::ImageRgba32F(pixels) => clear(pixels, first),
        _ => {}
    }
    picture
}

fn clear<P: Pixel>(pixels: &mut ImageBuffer<P, Vec<P::Subpixel>>, first: u32) {
    for row in pixels
        .rows_mut()
        .skip(usize::try_from(first).unwrap_or(usize::MAX))
    {
        for pixel in row {
            for channel in pixel.channels_mut() {
                *channel = P::Subpixel::DEFAULT_MIN_VALUE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbaImage};

    use super::*;

    #[test]
    fn missing_rows_are_transparent_at_every_depth() {
        let grey = DynamicImage::from(GrayImage::from_pixel(2, 3, Luma([9])));
        let deep = DynamicImage::from(ImageBuffer::from_pixel(2, 3, Rgb([9_u16 * 257; 3])));
        let clear = DynamicImage::from(RgbaImage::from_pixel(2, 3, image::Rgba([9, 9, 9, 255])));
        for picture in [grey, deep, clear] {
            let cut = clear_rows_from(picture, 2).into_rgba8();
            let levels: Vec<u8> = cut.pixels().map(|pixel| pixel.0[3]).collect();
            assert_eq!(levels, [255, 255, 255, 255, 0, 0]);
            assert_eq!(cut.get_pixel(1, 1).0, [9, 9, 9, 255]);
        }
    }

    #[test]
    fn a_complete_picture_is_unchanged() {
        let whole = DynamicImage::from(GrayImage::new(2, 3));
        assert_eq!(clear_rows_from(whole.clone(), 3), whole);
    }
}
