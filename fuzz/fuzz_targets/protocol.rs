//! Any bytes are frames with messages or an error, on either side, and a kind of file that is refused or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_pictures::protocol::{Answer, Grant, Request, Weighed, message, read_frame, write_frame};
use plinth_pictures::sniff;

const LIMIT: usize = 4_096;

fuzz_target!(|wire: &[u8]| {
    let _ = sniff::refusal(wire);
    let mut input = wire;
    while let Ok(frame) = read_frame(&mut input, LIMIT) {
        assert!(frame.len() <= LIMIT);
        let _ = (message::<Request>(&frame), message::<Weighed>(&frame));
        let _ = (message::<Grant>(&frame), message::<Answer>(&frame));
        let mut again = Vec::new();
        write_frame(&mut again, &frame).expect("memory takes all");
        assert_eq!(read_frame(&mut again.as_slice(), LIMIT).expect("as it was written"), frame);
    }
});
