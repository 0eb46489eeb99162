#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| pc_http::invariants::frames(octets));
