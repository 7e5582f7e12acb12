//! Any file is rendered within its box or rejected with a reason, and never causes a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_pictures::{render, required_memory};

fuzz_target!(|file: &[u8]| {
    let recipes =
        ["64x64 cover webp q75", "32x32 contain jpeg q80"].map(|text| text.parse().expect("a recipe"));
    let memory = required_memory(file, &recipes, 1_000_000);
    match render(file, &recipes, 1_000_000) {
        Ok(picture) => {
            memory.expect("a file that renders has a memory estimate");
            assert!(picture.images.iter().all(|image| image.width <= 64 && image.height <= 64));
        }
        Err(reason) => assert!(reason.to_string().ends_with('.')),
    }
});
