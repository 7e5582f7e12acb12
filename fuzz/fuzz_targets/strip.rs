//! Any file is stripped or rejected with a reason, and never causes a panic. A stripped file has no
//! more metadata.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_pictures::strip::strip;

fuzz_target!(|file: &[u8]| {
    match strip(file) {
        Ok(stripped) => {
            let clean = stripped.bytes.unwrap_or_else(|| file.to_vec());
            assert_eq!(strip(&clean).expect("a stripped file is a picture").bytes, None);
        }
        Err(reason) => assert!(reason.to_string().ends_with('.')),
    }
});
