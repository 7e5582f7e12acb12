//! Hostile files in the real sandbox: each ends as images or as a reason.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use image::{DynamicImage, ImageFormat, RgbImage};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use plinth_pictures::Unreadable;
use plinth_worker::files::{Crash, ImageSandbox, SandboxError};

use super::sandbox::{encoded, noise, program, recipes};

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Gif,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];

/// An image with an alpha plane, and one from a camera.
const AVIF: [&[u8]; 2] = [
    include_bytes!("../../../shared/pictures/tests/fixtures/alpha.avif"),
    include_bytes!("../../../shared/pictures/tests/fixtures/camera.avif"),
];

/// The number of mutations of each valid file.
const MUTATIONS: u64 = 48;

/// Returns the CRC-32 of PNG (annex D).
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

/// Returns a PNG of a few bytes whose header claims a size.
pub(crate) fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&RgbImage::new(1, 1).into(), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// Returns a mutation of a file, the same one for the same seed.
fn mutated(file: &[u8], seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut file = file.to_vec();
    // Headers are the most dangerous part, so half of the changes are there.
    let place = |random: &mut fastrand::Rng, length: usize| {
        if random.bool() {
            random.usize(..length.min(64))
        } else {
            random.usize(..length)
        }
    };
    match seed % 6 {
        0 => file.truncate(random.usize(..file.len())),
        1 => {
            for _ in 0..random.usize(1..20) {
                let at = place(&mut random, file.len());
                file[at] ^= 1 << random.u8(..8);
            }
        }
        2 => {
            let from = place(&mut random, file.len());
            let to = (from + random.usize(1..200)).min(file.len());
            file[from..to].fill(random.choice([0, 0x7f, 0xff]).expect("not empty"));
        }
        3 => {
            let from = place(&mut random, file.len());
            let to = (from + random.usize(1..400)).min(file.len());
            let copy = file[from..to].to_vec();
            let at = place(&mut random, file.len());
            file.splice(at..at, copy);
        }
        4 => {
            let from = place(&mut random, file.len());
            let to = (from + random.usize(1..400)).min(file.len());
            file.drain(from..to);
        }
        // A number in the header becomes large.
        _ => {
            let at = random.usize(..file.len().min(64) - 4);
            let large = random
                .choice([u32::MAX, 0x7fff_ffff, 0x0001_0000, 60_000])
                .expect("not empty");
            let bytes = if random.bool() {
                large.to_be_bytes()
            } else {
                large.to_le_bytes()
            };
            file[at..at + 4].copy_from_slice(&bytes);
        }
    }
    file
}

#[tokio::test]
async fn hundreds_of_mutated_files_end_as_images_or_a_reason() {
    let before = getrusage(UsageWho::RUSAGE_SELF).expect("returns").max_rss();
    let picture = noise(160, 120);
    let encoded = FORMATS.map(|format| (format, encoded(&picture, format)));
    let sound: Vec<_> = encoded
        .into_iter()
        .chain(AVIF.map(|file| (ImageFormat::Avif, file.to_vec())))
        .collect();
    let files: Vec<_> = sound
        .iter()
        .flat_map(|(format, file)| {
            (0..MUTATIONS).map(move |seed| (format, seed, mutated(file, seed)))
        })
        .collect();
    assert!(files.len() >= 200);
    let sandbox = ImageSandbox::new(program());
    let recipes = recipes();
    for (format, file) in &sound {
        let made = sandbox.render(file, &recipes).await;
        assert_eq!(
            made.expect("no sandbox error")
                .expect("is valid")
                .images
                .len(),
            recipes.len(),
            "{format:?}"
        );
    }
    let ends: Vec<_> = futures_util::stream::iter(files)
        .map(|(format, seed, file)| {
            let (sandbox, recipes) = (&sandbox, &recipes);
            async move {
                match sandbox.render(&file, recipes).await {
                    Ok(end) => end.map(drop).map_err(|reason| format!("{reason:?}")),
                    // Libraries have faults, but must never make a forbidden system call.
                    Err(SandboxError::Crashed(crash)) if crash != Crash::Signal(Signal::SIGSYS) => {
                        Err(format!("{crash:?}"))
                    }
                    Err(error) => panic!("{format:?} {seed}: {error}"),
                }
            }
        })
        .buffer_unordered(4)
        .collect()
        .await;
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for end in &ends {
        *tally
            .entry(end.clone().err().unwrap_or_else(|| "images".to_owned()))
            .or_default() += 1;
    }
    // If either were missing, the mutations would be too weak or too strong.
    assert!(tally["images"] > 20 && tally["Damaged"] > 50, "{tally:?}");
    // The memory of the largest child that has ended, in KiB. The images are small whatever they
    // claim.
    let child = getrusage(UsageWho::RUSAGE_CHILDREN)
        .expect("returns")
        .max_rss();
    assert!(child < 700 * 1024, "a child had {child} KiB");
    let own = getrusage(UsageWho::RUSAGE_SELF).expect("returns").max_rss();
    assert!(
        own - before < 64 * 1024,
        "this process grew by {} KiB",
        own - before
    );
}

#[tokio::test]
async fn decompression_bombs_end_with_a_reason_within_the_memory_limit() {
    let sandbox = ImageSandbox::new(program());
    let render = async |file: &[u8]| {
        sandbox
            .render(file, &recipes())
            .await
            .expect("no sandbox error")
            .map(drop)
    };
    let zeros = |width: u32, height: u32, format| {
        encoded(&DynamicImage::from(RgbImage::new(width, height)), format)
    };
    // These claim a size and have no pixels.
    assert_eq!(
        render(&png_bomb(50_000, 50_000)).await,
        Err(Unreadable::TooManyPixels)
    );
    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x01\0\0\x3b";
    assert_eq!(render(gif).await, Err(Unreadable::TooManyPixels));
    // This one has 25 million pixels in less than half a megabyte.
    let small = zeros(5_000, 5_000, ImageFormat::Png);
    assert!(small.len() < 500_000, "{}", small.len());
    assert_eq!(render(&small).await, Ok(()));
    let child = getrusage(UsageWho::RUSAGE_CHILDREN)
        .expect("returns")
        .max_rss();
    assert!(child < 300 * 1024, "a child had {child} KiB");
    assert!(render(&vec![0; 1 << 20]).await.is_err());
    assert!(render(b"").await.is_err());
    assert_eq!(
        render(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").await,
        Err(Unreadable::Heic)
    );
}
