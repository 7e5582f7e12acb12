//! Reads the JPEGs that cameras write: sequential, of 8 bits, Huffman-coded, in one scan (T.81, F.2). Codes and the numbers
//! behind them are looked up at once, and colours need no more pixels than the images show: half of the time that a picture
//! takes is in the former. It is strict: what is not wholly as it should be is for libjpeg-turbo.

mod bits;
mod block;
mod frame;
mod huffman;
mod planes;
mod scan;
mod transform;

use image::DynamicImage;

use crate::Unreadable;
use crate::derive::Target;
use frame::Frame;

/// It is no such JPEG, or damaged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Irregular;

impl From<Unreadable> for Irregular {
    fn from(_: Unreadable) -> Self {
        Self
    }
}

/// Images of a grey or coloured picture, which is read no smaller than `wanted` where it is not smaller itself.
pub(super) fn images(
    file: &[u8],
    targets: &[Target],
    wanted: (u32, u32),
) -> Result<Vec<DynamicImage>, Irregular> {
    planes::read(&Frame::read(file)?, targets, wanted)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbImage};
    use mozjpeg::{ColorSpace, Compress};
    use plinth_domain::preset::Fit;
    use proptest::prelude::*;

    use super::*;
    use crate::jpeg::libjpeg;

    const RESTARTS: &[u8] = include_bytes!("../../../tests/fixtures/restarts.jpg");

    /// How a file is written.
    #[derive(Debug, Clone, Copy)]
    struct Kind {
        quality: u8,
        /// Pixels of one that tells the colour.
        colour: (u8, u8),
        is_progressive: bool,
    }

    const FINE: Kind = Kind { quality: 95, colour: (1, 1), is_progressive: false };

    fn written(picture: &DynamicImage, kind: Kind) -> Vec<u8> {
        let space = if picture.color().has_color() { ColorSpace::JCS_RGB } else { ColorSpace::JCS_GRAYSCALE };
        let mut encoder = Compress::new(space);
        encoder.set_fastest_defaults();
        encoder.set_size(edge(picture.width()), edge(picture.height()));
        encoder.set_quality(kind.quality.into());
        encoder.set_chroma_sampling_pixel_sizes(kind.colour, kind.colour);
        if kind.is_progressive {
            encoder.set_progressive_mode();
        }
        let mut started = encoder.start_compress(Vec::new()).expect("starts");
        started.write_scanlines(picture.as_bytes()).expect("takes all lines");
        started.finish().expect("is written")
    }

    fn edge(edge: u32) -> usize {
        usize::try_from(edge).expect("32 bits fit")
    }

    /// Waves that are so long that a quarter of their pixels shows them, and so low that no colour is out of reach.
    fn waves(width: u32, height: u32) -> RgbImage {
        let wave = |place: u32, length: f64| (f64::from(place) / length).sin() * 30.0 + 128.0;
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([wave(x, 9.0), wave(y, 11.0), wave(x + y, 13.0)].map(|value| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 98 and 158"
                )]
                let value = value.round() as u8;
                value
            }))
        })
    }

    fn noise(width: u32, height: u32) -> RgbImage {
        let mut random = 12_345_u32;
        RgbImage::from_fn(width, height, |_, _| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([24, 16, 8].map(|bits| (random >> bits).to_le_bytes()[0]))
        })
    }

    /// Both libraries' images of a file in this size.
    fn both(file: &[u8], (width, height): (u32, u32)) -> (Vec<u8>, Vec<u8>) {
        let targets = [Target { width, height, fit: Fit::Contain }];
        let ours = images(file, &targets, (width, height)).expect("is such a picture");
        let theirs = libjpeg::images(file, &targets, (width, height), u64::MAX).expect("is a picture");
        assert_eq!(ours[0].color(), theirs[0].color());
        (ours[0].as_bytes().to_vec(), theirs[0].as_bytes().to_vec())
    }

    fn furthest((ours, theirs): &(Vec<u8>, Vec<u8>)) -> u8 {
        assert_eq!(ours.len(), theirs.len());
        ours.iter().zip(theirs).map(|(one, other)| one.abs_diff(*other)).max().expect("pixels")
    }

    fn mean((ours, theirs): &(Vec<u8>, Vec<u8>)) -> f64 {
        let sum: u64 = ours.iter().zip(theirs).map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
        f64::from(u32::try_from(sum).expect("small")) / f64::from(u32::try_from(ours.len()).expect("small"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_pixel_is_as_libjpeg_reads_it(
            size in (1..90_u32, 1..90_u32),
            quality in 1..=100_u8,
            is_grey: bool,
            is_noise: bool,
        ) {
            let picture = if is_noise { noise(size.0, size.1) } else { waves(size.0, size.1) };
            let picture = DynamicImage::from(picture);
            let picture = if is_grey { picture.to_luma8().into() } else { picture };
            let pixels = both(&written(&picture, Kind { quality, ..FINE }), size);
            // Each rounds twice, at other places.
            prop_assert!(furthest(&pixels) <= 3, "{}", furthest(&pixels));
        }

        #[test]
        fn smaller_ones_are_as_libjpeg_reads_them(
            units in (4..12_u32, 4..12_u32),
            part in prop_oneof![Just(2_u32), Just(4), Just(8)],
            colour in prop_oneof![Just((1_u8, 1_u8)), Just((2, 2))],
        ) {
            let size = (units.0 * 32, units.1 * 32);
            let file = written(&waves(size.0, size.1).into(), Kind { colour, ..FINE });
            let pixels = both(&file, (size.0 / part, size.1 / part));
            prop_assert!(furthest(&pixels) <= 4 && mean(&pixels) < 1.0, "{} {}", furthest(&pixels), mean(&pixels));
        }

        #[test]
        fn pictures_that_end_within_a_unit_are_read_to_their_edges(
            size in (60..140_u32, 60..140_u32),
            part in 2..=3_u32,
            colour in prop_oneof![Just((1_u8, 1_u8)), Just((2, 1)), Just((2, 2))],
        ) {
            let file = written(&waves(size.0, size.1).into(), Kind { colour, ..FINE });
            let pixels = both(&file, (size.0 / part, size.1 / part));
            prop_assert!(furthest(&pixels) <= 14 && mean(&pixels) < 2.0, "{} {}", furthest(&pixels), mean(&pixels));
        }

        #[test]
        fn a_changed_file_is_a_picture_of_its_size_or_left_alone(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut file = RESTARTS.to_vec();
            for (place, value) in changes {
                let place = place.index(file.len());
                file[place] = value;
            }
            let target = Target { width: 20, height: 12, fit: Fit::Contain };
            if let Ok(images) = images(&file, &[target], (20, 12)) {
                prop_assert_eq!((images[0].width(), images[0].height()), (20, 12));
            }
        }
    }

    #[test]
    fn a_scan_that_starts_anew_is_read_to_its_end() {
        let pixels = both(RESTARTS, (61, 37));
        assert!(furthest(&pixels) <= 3, "{}", furthest(&pixels));
    }

    #[test]
    fn what_was_cut_off_is_left_alone() {
        let picture: DynamicImage = noise(24, 16).into();
        for file in [RESTARTS.to_vec(), written(&picture, FINE)] {
            let target = Target { width: 8, height: 8, fit: Fit::Cover };
            assert!(images(&file, &[target], (8, 8)).is_ok());
            // The last marker and the padding before it are all that can be missing.
            for length in 0..file.len() - 3 {
                assert_eq!(images(&file[..length], &[target], (8, 8)), Err(Irregular), "{length}");
            }
        }
    }

    #[test]
    fn other_kinds_are_left_alone() {
        let picture: DynamicImage = waves(40, 40).into();
        let target = Target { width: 8, height: 8, fit: Fit::Contain };
        let is_left = |file: &[u8]| images(file, &[target], (8, 8)) == Err(Irregular);
        assert!(!is_left(&written(&picture, FINE)));
        assert!(is_left(&written(&picture, Kind { is_progressive: true, ..FINE })));
        // Half of the lines but all columns, and a third of the columns.
        assert!(is_left(&written(&picture, Kind { colour: (1, 2), ..FINE })));
        assert!(is_left(&written(&picture, Kind { colour: (3, 1), ..FINE })));
        // As large as it is, and colours are half as large.
        let whole = Target { width: 40, height: 40, fit: Fit::Contain };
        let coarse = written(&picture, Kind { colour: (2, 2), ..FINE });
        assert_eq!(images(&coarse, &[whole], (40, 40)), Err(Irregular));
        assert!(!is_left(&coarse));
        let adobe = |transform: u8| {
            let segment = [&[0xff, 0xee, 0, 14][..], b"Adobe\0\x64\0\0\0\0", &[transform]].concat();
            let file = written(&picture, FINE);
            [&file[..2], &segment, &file[2..]].concat()
        };
        assert!(is_left(&adobe(0)));
        assert!(!is_left(&adobe(1)));
    }

    #[test]
    fn grey_stays_grey() {
        let picture: DynamicImage = GrayImage::from_pixel(40, 40, image::Luma([77])).into();
        let target = Target { width: 8, height: 8, fit: Fit::Contain };
        let images = images(&written(&picture, FINE), &[target], (8, 8)).expect("is read");
        assert_eq!(images[0].as_luma8().map(|image| image.get_pixel(3, 3).0), Some([77]));
    }
}
