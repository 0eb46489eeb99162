use crate::client_hello::SUPPORTED_VERSIONS;

/// What a server says to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It refuses.
    Alert(u8),
    /// It closes without a word.
    Closed,
    Hello(ServerHello),
    /// It could not be reached, was not asked, or did not answer in time.
    None,
    /// Something else than TLS.
    NotTls,
}

/// RFC 8446 4.1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerHello {
    /// From supported_versions where that is there.
    pub(super) version: u16,
    pub(super) suite: u16,
    pub(super) compression: u8,
    pub(super) extensions: Vec<u16>,
}

/// The answer in the first octets of a server; `None` while more are needed.
pub(super) fn read_answer(octets: &[u8]) -> Option<Answer> {
    let mut message = Vec::new();
    let mut rest = octets;
    loop {
        let (header, more) = rest.split_first_chunk::<5>()?;
        let [kind, major, _, high, low] = *header;
        if major != 3 || !matches!(kind, ALERT | HANDSHAKE) {
            return Some(Answer::NotTls);
        }
        let (content, more) = more.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        if kind == ALERT {
            return Some(content.get(1).map_or(Answer::NotTls, |alert| Answer::Alert(*alert)));
        }
        message.extend_from_slice(content);
        if let Some([first, high, middle, low]) = message.first_chunk::<4>() {
            let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            if *first != SERVER_HELLO {
                return Some(Answer::NotTls);
            }
            if let Some(body) = message.get(4..4 + length) {
                return Some(server_hello(body).map_or(Answer::NotTls, Answer::Hello));
            }
        }
        rest = more;
    }
}

/// RFC 8446 5.1 and 4.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;

fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let (version, rest) = split_u16(body)?;
    let (session_octets, rest) = rest.get(32..)?.split_first()?;
    let (suite, rest) = split_u16(rest.get(usize::from(*session_octets)..)?)?;
    let (compression, rest) = rest.split_first()?;
    let mut hello = ServerHello { version, suite, compression: *compression, extensions: Vec::new() };
    let Some((length, rest)) = split_u16(rest) else { return Some(hello) };
    let mut rest = rest.get(..usize::from(length))?;
    while !rest.is_empty() {
        let (kind, more) = split_u16(rest)?;
        let (length, more) = split_u16(more)?;
        let (content, more) = more.split_at_checked(usize::from(length))?;
        if kind == SUPPORTED_VERSIONS {
            hello.version = split_u16(content)?.0;
        }
        hello.extensions.push(kind);
        rest = more;
    }
    Some(hello)
}

fn split_u16(octets: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = octets.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
        let mut record = vec![22, 3, 3, 0, u8::try_from(body.len() + 4).expect("short")];
        record.extend([2, 0, 0, u8::try_from(body.len()).expect("short")]);
        record.extend(body);
        record
    }

    #[test]
    fn a_server_hello_is_read_once_it_is_whole_and_no_octets_make_it_panic() {
        let hello = hello();
        for end in 0..hello.len() {
            assert_eq!(read_answer(&hello[..end]), None);
        }
        let want = ServerHello { version: 0x0304, suite: 0x1301, compression: 0, extensions: vec![43] };
        assert_eq!(read_answer(&hello), Some(Answer::Hello(want)));
        for place in 0..hello.len() {
            for octet in [0, 1, 2, 0x7f, 0xff] {
                let mut changed = hello.clone();
                changed[place] = octet;
                let _ = read_answer(&changed);
            }
        }
    }

    #[test]
    fn an_alert_and_something_else_are_told_apart() {
        assert_eq!(read_answer(&[21, 3, 1, 0, 2, 2, 70]), Some(Answer::Alert(70)));
        assert_eq!(read_answer(b"220 mail.example.org ESMTP\r\n"), Some(Answer::NotTls));
    }
}
