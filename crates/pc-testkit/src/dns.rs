use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a DNS server answers every question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsBehaviour {
    /// From its zone.
    #[default]
    Answer,
    /// Never.
    Hang,
    /// REFUSED.
    Refuse,
    /// SERVFAIL.
    ServerFailure,
    /// Truncated by UDP, in full by TCP.
    Truncate,
    /// With another id than the question's, by UDP.
    WrongId,
}

/// A DNS server on loopback, by UDP and TCP on one port, that answers from a text.
///
/// A line of the zone is `NAME [TTL] TYPE VALUE` with the types A, AAAA, CNAME, MX, PTR and TXT; names are
/// whole and without a dot at the end; CAA is `FLAGS TAG VALUE` and TLSA `USAGE SELECTOR MATCHING HEX` as in zone files (without quotes), RAWCAA and RAWTLSA the octets of a record in hex; a TXT value is one string, cut into pieces of 255 octets. Two types are
/// of its own: `NAME SERVFAIL -` and `NAME HANG -` for every question about the name. A name that does not stand
/// there does not exist, one that has other types only has none of the one that is asked for; both are said with
/// an SOA whose minimum is [`NEGATIVE_TTL`].
pub struct DnsServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

/// Seconds for which "there is nothing" may be kept.
pub const NEGATIVE_TTL: u32 = 60;

struct Shared {
    zone: Mutex<BTreeMap<String, Vec<Entry>>>,
    behaviour: Mutex<DnsBehaviour>,
    /// Questions so far: how many, and by name.
    asked: watch::Sender<BTreeMap<String, usize>>,
}

#[derive(Clone)]
struct Entry {
    ttl: u32,
    kind: String,
    value: String,
}

/// What goes back for one question.
enum Response {
    Nothing,
    Octets(Vec<u8>),
}

impl DnsServer {
    /// Starts it with the lines of `zone`.
    ///
    /// # Errors
    /// The sockets'.
    pub async fn start(zone: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            zone: Mutex::new(parse(zone)),
            behaviour: Mutex::default(),
            asked: watch::Sender::new(BTreeMap::new()),
        });
        // The port that the system gave for TCP may be taken for UDP.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr()?;
        let tasks = [
            tokio::spawn(serve_udp(udp, Arc::clone(&shared))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&shared))),
        ];
        Ok(Self { address, shared, tasks })
    }

    /// Behaves differently from here on.
    pub fn behave(&self, behaviour: DnsBehaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Answers from other lines from here on.
    pub fn publish(&self, zone: &str) {
        *lock(&self.shared.zone) = parse(zone);
    }

    /// Questions so far.
    pub fn count(&self) -> usize {
        self.shared.asked.borrow().values().sum()
    }

    /// Questions about `name` so far.
    pub fn count_of(&self, name: &str) -> usize {
        self.shared.asked.borrow().get(name).copied().unwrap_or(0)
    }

    /// Returns when `count` questions came in all.
    pub async fn wait_for(&self, count: usize) {
        // The sender lives as long as `self`.
        let _ = self.shared.asked.subscribe().wait_for(|asked| asked.values().sum::<usize>() >= count).await;
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse(text: &str) -> BTreeMap<String, Vec<Entry>> {
    let mut zone: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let (ttl, kind, value) = match first.parse() {
            Ok(ttl) => {
                let (kind, value) = after.split_once(' ').unwrap_or((after, ""));
                (ttl, kind, value)
            }
            Err(_) => (300, first, after),
        };
        let entry = Entry { ttl, kind: kind.to_owned(), value: value.to_owned() };
        zone.entry(name.to_ascii_lowercase()).or_default().push(entry);
    }
    zone
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = vec![0; 4_096];
    while let Ok((count, peer)) = socket.recv_from(&mut buffer).await {
        let question = buffer.get(..count).unwrap_or_default();
        if let Response::Octets(octets) = respond(&shared, question, true) {
            // The asker may be gone.
            let _ = socket.send_to(&octets, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_stream(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// RFC 1035 4.2.2. `None` when the asker is gone.
async fn serve_stream(mut stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await.ok()?;
        match respond(&shared, &question, false) {
            Response::Nothing => tokio::time::sleep(Duration::from_secs(3_600)).await,
            Response::Octets(octets) => {
                stream.write_u16(u16::try_from(octets.len()).ok()?).await.ok()?;
                stream.write_all(&octets).await.ok()?;
            }
        }
    }
}

fn respond(shared: &Shared, message: &[u8], by_udp: bool) -> Response {
    let Some((name, kind, question)) = question(message) else { return Response::Nothing };
    shared.asked.send_modify(|asked| *asked.entry(name.clone()).or_default() += 1);
    let id = message
        .get(..2)
        .map_or([0, 0], |id| [id.first().copied().unwrap_or(0), id.last().copied().unwrap_or(0)]);
    let zone = lock(&shared.zone).clone();
    let special =
        |kind: &str| zone.get(&name).is_some_and(|entries| entries.iter().any(|entry| entry.kind == kind));
    let behaviour = *lock(&shared.behaviour);
    match behaviour {
        DnsBehaviour::Hang => return Response::Nothing,
        _ if special("HANG") => return Response::Nothing,
        DnsBehaviour::Refuse => return bare(id, question, 0, REFUSED),
        DnsBehaviour::ServerFailure => return bare(id, question, 0, SERVFAIL),
        _ if special("SERVFAIL") => return bare(id, question, 0, SERVFAIL),
        DnsBehaviour::Truncate if by_udp => return bare(id, question, TRUNCATED, 0),
        DnsBehaviour::WrongId if by_udp => {
            let [high, low] = id;
            return respond_from(&zone, &name, kind, question, [high, low ^ 1]);
        }
        _ => {}
    }
    respond_from(&zone, &name, kind, question, id)
}

const RESPONSE: u8 = 0x84;
const TRUNCATED: u8 = 0x02;
const RECURSION_AVAILABLE: u8 = 0x80;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const REFUSED: u8 = 5;

fn bare(id: [u8; 2], question: &[u8], flags: u8, code: u8) -> Response {
    Response::Octets(message(id, question, flags, code, (&[], &[])))
}

fn message(id: [u8; 2], question: &[u8], flags: u8, code: u8, records: (&[Vec<u8>], &[Vec<u8>])) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend([RESPONSE | flags, RECURSION_AVAILABLE | code, 0, 1]);
    for section in [records.0, records.1] {
        out.extend(u16::try_from(section.len()).unwrap_or(0).to_be_bytes());
    }
    out.extend([0, 0]);
    out.extend_from_slice(question);
    records.0.iter().chain(records.1).for_each(|record| out.extend_from_slice(record));
    out
}

fn respond_from(
    zone: &BTreeMap<String, Vec<Entry>>,
    name: &str,
    kind: u16,
    question: &[u8],
    id: [u8; 2],
) -> Response {
    let mut answers = Vec::new();
    let mut name = name.to_owned();
    // An alias is followed a few steps, as a resolver does.
    for _ in 0..8 {
        let entries = zone.get(&name).map(Vec::as_slice).unwrap_or_default();
        answers.extend(
            entries
                .iter()
                .filter(|entry| type_code(&entry.kind) == kind)
                .filter_map(|entry| record(&name, entry)),
        );
        match entries.iter().find(|entry| entry.kind == "CNAME") {
            Some(alias) => {
                answers.extend(record(&name, alias));
                name.clone_from(&alias.value);
            }
            None => break,
        }
    }
    if answers.is_empty() || !zone.contains_key(&name) {
        let code = if zone.contains_key(&name) { 0 } else { NXDOMAIN };
        return Response::Octets(message(id, question, 0, code, (&answers, &[soa()])));
    }
    Response::Octets(message(id, question, 0, 0, (&answers, &[])))
}

/// The name, the type, and the octets of the question.
fn question(message: &[u8]) -> Option<(String, u16, &[u8])> {
    let body = message.get(12..)?;
    let mut labels = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*body.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(body.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]);
    Some((labels.join("."), kind, body.get(..at + 4)?))
}

fn type_code(kind: &str) -> u16 {
    match kind {
        "A" => 1,
        "CNAME" => 5,
        "SOA" => 6,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "TLSA" | "RAWTLSA" => 52,
        "CAA" | "RAWCAA" => 257,
        _ => 0,
    }
}

fn record(name: &str, entry: &Entry) -> Option<Vec<u8>> {
    let data = match entry.kind.as_str() {
        "A" | "AAAA" => match entry.value.parse().ok()? {
            IpAddr::V4(address) => Ipv4Addr::octets(&address).to_vec(),
            IpAddr::V6(address) => Ipv6Addr::octets(&address).to_vec(),
        },
        "CNAME" | "PTR" => wire(&entry.value),
        "MX" => {
            let (preference, host) = entry.value.split_once(' ')?;
            let mut data = preference.parse::<u16>().ok()?.to_be_bytes().to_vec();
            data.extend(wire(host));
            data
        }
        "CAA" => {
            let mut parts = entry.value.splitn(3, ' ');
            let (flags, tag) = (parts.next()?.parse().ok()?, parts.next()?);
            let length = u8::try_from(tag.len()).ok()?;
            [&[flags, length], tag.as_bytes(), parts.next().unwrap_or_default().as_bytes()].concat()
        }
        "TLSA" => {
            let mut parts = entry.value.split(' ');
            let mut numbers = Vec::new();
            for _ in 0..3 {
                numbers.push(parts.next()?.parse().ok()?);
            }
            [numbers, octets(parts.next()?)?].concat()
        }
        "RAWCAA" | "RAWTLSA" => octets(&entry.value)?,
        "TXT" => {
            let mut data = Vec::new();
            for piece in entry.value.as_bytes().chunks(255) {
                data.push(u8::try_from(piece.len()).ok()?);
                data.extend_from_slice(piece);
            }
            data
        }
        _ => return None,
    };
    Some(encoded(name, type_code(&entry.kind), entry.ttl, &data))
}

/// From hexadecimal.
fn octets(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn soa() -> Vec<u8> {
    let mut data = [wire("ns.example.org"), wire("hostmaster.example.org")].concat();
    for number in [1, 3_600, 600, 86_400, NEGATIVE_TTL] {
        data.extend(number.to_be_bytes());
    }
    encoded("", type_code("SOA"), NEGATIVE_TTL, &data)
}

fn encoded(name: &str, kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut out = wire(name);
    out.extend(kind.to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    out.extend(ttl.to_be_bytes());
    out.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(data);
    out
}

fn wire(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}
