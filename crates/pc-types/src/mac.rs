use sha2::{Digest, Sha256};

/// HMAC-SHA256 (RFC 2104) of `parts` one after the other. Keys of any length are taken.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104 2: a key longer than a block is hashed first, a shorter one filled up with zeros.
    let mut block = [0; BLOCK_OCTETS];
    let hashed: [u8; 32];
    let short = if key.len() > BLOCK_OCTETS {
        hashed = Sha256::digest(key).into();
        hashed.as_slice()
    } else {
        key
    };
    for (octet, key) in block.iter_mut().zip(short) {
        *octet = *key;
    }
    let mut inner = Sha256::new();
    inner.update(block.map(|octet| octet ^ INNER));
    for part in parts {
        inner.update(part);
    }
    let mut outer = Sha256::new();
    outer.update(block.map(|octet| octet ^ OUTER));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// Whether two codes are the same, in a time that does not tell how much of them is.
pub fn is_same_code(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differing = one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
    // The compiler must not see that the first difference decides.
    std::hint::black_box(differing) == 0
}

/// Of SHA-256 (FIPS 180-4 1).
const BLOCK_OCTETS: usize = 64;
/// RFC 2104 2.
const INNER: u8 = 0x36;
/// RFC 2104 2.
const OUTER: u8 = 0x5c;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    #[test]
    fn codes_are_those_of_rfc_4231() {
        for (key, text, want) in [
            (vec![0x0b; 20], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let (head, tail) = text.as_bytes().split_at(3);
            assert_eq!(hex(&hmac_sha256(&key, &[head, tail])), want, "{text}");
        }
    }

    #[test]
    fn one_bit_makes_another_code() {
        let code = hmac_sha256(b"key", &[b"text"]);
        assert!(is_same_code(&code, &code));
        for place in 0..256 {
            let mut other = code;
            other[place / 8] ^= 1 << (place % 8);
            assert!(!is_same_code(&code, &other), "{place}");
        }
    }
}
