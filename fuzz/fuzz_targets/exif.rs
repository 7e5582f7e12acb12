//! Any EXIF data yields a valid time or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_pictures::metadata::taken_at;

fuzz_target!(|exif: &[u8]| {
    if let Some(time) = taken_at(exif.to_vec()) {
        assert!((19..=25).contains(&time.as_str().len()));
    }
});
