//! Any bytes are parsed as frames and messages or rejected, on either side, and the detection of
//! formats accepts any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plinth_pictures::protocol::{
    Grant, MemoryEstimate, Request, Response, parse_message, read_frame, write_frame,
};
use plinth_pictures::sniff;

const LIMIT: usize = 4_096;

fuzz_target!(|wire: &[u8]| {
    let _ = sniff::refusal(wire);
    let mut input = wire;
    while let Ok(frame) = read_frame(&mut input, LIMIT) {
        assert!(frame.len() <= LIMIT);
        let _ = (parse_message::<Request>(&frame), parse_message::<MemoryEstimate>(&frame));
        let _ = (parse_message::<Grant>(&frame), parse_message::<Response>(&frame));
        let mut again = Vec::new();
        write_frame(&mut again, &frame).expect("writing to memory succeeds");
        assert_eq!(read_frame(&mut again.as_slice(), LIMIT).expect("a frame"), frame);
    }
});
