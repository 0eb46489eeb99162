#![no_main]

use pc_tls::client_hello::HelloReader;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let mut whole = HelloReader::default();
    let _ = whole.push(octets);
    let mut pieces = HelloReader::default();
    for octet in octets.chunks(1) {
        let _ = pieces.push(octet);
    }
});
