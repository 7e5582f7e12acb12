//! Any file becomes an image within its box, or a reason, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_pictures::{render, weigh};

fuzz_target!(|file: &[u8]| {
    let recipes =
        ["64x64 cover webp q75", "32x32 contain jpeg q80"].map(|text| text.parse().expect("a recipe"));
    let weighed = weigh(file, &recipes, 1_000_000);
    match render(file, &recipes, 1_000_000) {
        Ok(developed) => {
            weighed.expect("what is rendered was weighed");
            assert!(developed.images.iter().all(|image| image.width <= 64 && image.height <= 64));
        }
        Err(reason) => assert!(reason.to_string().ends_with('.')),
    }
});
