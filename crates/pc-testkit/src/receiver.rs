use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pc_smtp::client::{UpstreamReply, final_reply};
use pc_smtp::custody::Custody;
use pc_smtp::{Effect, EndAnswer, EnhancedCode, Envelope, Input, Offer, Reply, Session, TlsPolicy};
use pc_tls::ServerTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a receiving server answers. Recipients whose local part begins with `unknown` are refused by
/// all of them; one that begins with `later` is answered 450; one that begins with `drop` is answered 421, and the connection is closed; one that begins with
/// `hang` is never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes every message.
    Accept,
    /// Takes every message and keeps none: for benchmarks.
    AcceptAndForget,
    /// 451 at the end of data.
    Defer,
    /// 550 at the end of data.
    Refuse,
    /// Closes instead of answering the end of data.
    ResetAtEnd,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// From MAIL and RCPT.
    pub envelope: Envelope,
    /// As received, without transparency dots.
    pub message: Vec<u8>,
}

/// A receiving server on loopback.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    deliveries: Mutex<Vec<Delivery>>,
    count: watch::Sender<usize>,
    connections: watch::Sender<usize>,
    tls: Option<ServerTls>,
    /// Extensions that are not offered.
    withheld: Mutex<Vec<String>>,
}

impl Receiver {
    /// Starts it, with STARTTLS where `tls` is given.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(behaviour: Behaviour, tls: Option<ServerTls>) -> std::io::Result<Self> {
        Self::start_at(([127, 0, 0, 1], 0).into(), behaviour, tls).await
    }

    /// The same at an address, such as that of a receiver that went away.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start_at(
        address: SocketAddr,
        behaviour: Behaviour,
        tls: Option<ServerTls>,
    ) -> std::io::Result<Self> {
        // Its predecessor's connections may still be in TIME_WAIT.
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(1_024)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            deliveries: Mutex::new(Vec::new()),
            count: watch::Sender::new(0),
            connections: watch::Sender::new(0),
            tls,
            withheld: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Behaves differently from here on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Offers these extensions in EHLO no more, such as `DSN`.
    pub fn withhold(&self, words: &[&str]) {
        let words = words.iter().map(ToString::to_string).collect();
        *self.shared.withheld.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    /// What was taken so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Messages taken so far.
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Connections taken so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Returns when `count` messages were taken in all.
    pub async fn wait_for(&self, count: usize) {
        // The sender lives as long as `self`.
        let _ = self.shared.count.subscribe().wait_for(|taken| *taken >= count).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.send_modify(|count| *count += 1);
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let Ok(node_name) = "receiver.example.org".parse() else { return };
    let offer = Offer {
        node_name,
        message_octets_max: 100 * 1024 * 1024,
        recipients_max: 1_000,
        tls_policy: TlsPolicy::Offered,
    };
    let (session, effects) = Session::open(offer);
    let Some(session) = drive(&mut stream, session, effects, &shared).await else { return };
    let Some(tls) = &shared.tls else { return };
    let Ok(accepted) = tls.accept(stream, Duration::from_secs(10)).await else { return };
    let mut stream = accepted.stream;
    let (session, effects) = session.handle(Input::TlsUp);
    drive(&mut stream, session, effects, &shared).await;
}

/// Runs until the end, or until TLS is asked for, when the session comes back.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut session: Session,
    effects: Vec<Effect>,
    shared: &Shared,
) -> Option<Session> {
    let mut queue = VecDeque::from(effects);
    let mut buffer = vec![0; 32 * 1024];
    let mut out = Vec::new();
    let mut message = Vec::new();
    loop {
        let mut starts_tls = false;
        let mut closes = false;
        while let Some(effect) = queue.pop_front() {
            let answer = match effect {
                Effect::Abandon => {
                    message.clear();
                    continue;
                }
                Effect::Body(octets) => {
                    message.extend(octets);
                    continue;
                }
                Effect::CheckMail(..) => Input::Answer(Reply::new(250, EnhancedCode(2, 1, 0), "OK")),
                Effect::CheckRecipient(recipient)
                    if recipient.forward_path.to_string().starts_with("drop") =>
                {
                    let closing = Reply::new(421, EnhancedCode(4, 7, 0), "too many errors");
                    closing.write_to(&mut out);
                    closes = true;
                    break;
                }
                Effect::CheckRecipient(recipient)
                    if recipient.forward_path.to_string().starts_with("hang") =>
                {
                    std::future::pending().await
                }
                Effect::CheckRecipient(recipient) => Input::Answer(recipient_reply(&recipient)),
                Effect::EndOfMessage(envelope) => {
                    Input::End(end(envelope, std::mem::take(&mut message), shared).await?)
                }
                Effect::Reply(mut reply) => {
                    let withheld = shared.withheld.lock().unwrap_or_else(PoisonError::into_inner);
                    reply.lines.retain(|line| withheld.iter().all(|word| word != line));
                    drop(withheld);
                    reply.write_to(&mut out);
                    continue;
                }
                Effect::Rejected(_) => continue,
                Effect::Close => {
                    closes = true;
                    continue;
                }
                Effect::StartTls => {
                    starts_tls = true;
                    continue;
                }
            };
            let (after, further) = session.handle(answer);
            session = after;
            queue.extend(further);
        }
        stream.write_all(&out).await.ok()?;
        stream.flush().await.ok()?;
        out.clear();
        if closes {
            let _ = stream.shutdown().await;
            return None;
        }
        if starts_tls {
            return Some(session);
        }
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        let (after, effects) = session.handle(Input::Bytes(buffer.get(..count).unwrap_or_default()));
        session = after;
        queue.extend(effects);
    }
}

fn recipient_reply(recipient: &pc_smtp::Recipient) -> Reply {
    let forward_path = recipient.forward_path.to_string();
    if forward_path.starts_with("unknown") {
        Reply::new(550, EnhancedCode(5, 1, 1), "no such mailbox here")
    } else if forward_path.starts_with("later") {
        Reply::new(450, EnhancedCode(4, 2, 1), "not at present")
    } else {
        Reply::new(250, EnhancedCode(2, 1, 5), "recipient OK")
    }
}

/// `None` closes the connection without an answer.
async fn end(envelope: Envelope, message: Vec<u8>, shared: &Shared) -> Option<EndAnswer> {
    let behaviour = *shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
    match behaviour {
        Behaviour::Accept => {
            let delivery = Delivery { envelope, message };
            shared.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
        }
        Behaviour::AcceptAndForget => {}
        Behaviour::Defer => {
            return Some(EndAnswer::Refused(Reply::new(451, EnhancedCode(4, 3, 2), "not now")));
        }
        Behaviour::Refuse => {
            return Some(EndAnswer::Refused(Reply::new(550, EnhancedCode(5, 7, 1), "not wanted")));
        }
        Behaviour::ResetAtEnd => return None,
    }
    shared.count.send_modify(|count| *count += 1);
    let ok = UpstreamReply { code: 250, lines: vec!["2.0.0 OK".to_owned()] };
    let custody = Custody::Accepted(final_reply(&ok).ok()?);
    Some(EndAnswer::Taken { custody, text: "queued".to_owned() })
}
