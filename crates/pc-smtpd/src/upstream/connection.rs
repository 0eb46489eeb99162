//! One connection to the server behind, and what can go wrong with it.

use std::fmt;
use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use pc_queue::HealthFault;
use pc_smtp::Recipient;
use pc_smtp::client::{Capabilities, DotStuffer, ReplyReader, UpstreamReply, relayed};
use pc_types::Domain;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::Content;
use crate::limits::{READ_OCTETS, WRITE_OCTETS};

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) struct Connection {
    pub(super) stream: Box<dyn Stream>,
    pub(super) replies: ReplyReader,
    buffer: Vec<u8>,
    pub(super) offered: Capabilities,
    pub(super) messages: u32,
    /// A transaction was begun that must be reset before the next.
    pub(super) begun: bool,
}

/// What went wrong, with the step at which it did.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Fault {
    /// Whether the server as a whole is in trouble, not this one transaction: a message that makes a
    /// server break off must not stop the others.
    pub fn is_of_server(&self) -> bool {
        matches!(
            self.code,
            "connect" | "ehlo" | "greeting" | "starttls" | "starttls_injection" | "starttls_missing" | "tls"
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.detail)
    }
}

impl Fault {
    /// What it says about the health of the host; nothing where the fault is ours.
    pub(super) fn kind(&self) -> Option<HealthFault> {
        match self.code {
            "busy" | "temporary_file" => None,
            _ if self.is_of_server() => Some(HealthFault::Unreachable),
            _ => Some(HealthFault::BrokeOff),
        }
    }

    /// All seats are taken.
    pub(super) fn busy() -> Self {
        Self::new("busy", "all connections are in use")
    }

    /// The faults of all hosts as one. It is of the server only if each of them is: one host that could be
    /// spoken to means that the server as a whole is there.
    pub(super) fn of_all(faults: Vec<Self>) -> Self {
        let own = faults.iter().position(|fault| !fault.is_of_server()).unwrap_or(0);
        let code = faults.get(own).map_or("connect", |fault| fault.code);
        let detail = match faults.as_slice() {
            [fault] => fault.detail.clone(),
            several => several.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        };
        Self { code, detail }
    }

    pub(super) fn new(code: &'static str, detail: impl fmt::Display) -> Self {
        Self { code, detail: detail.to_string() }
    }
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            replies: ReplyReader::default(),
            buffer: Vec::new(),
            offered: Capabilities::default(),
            messages: 0,
            begun: false,
        }
    }

    /// Whether the server has said nothing unasked and not closed.
    pub(super) async fn is_quiet(&mut self) -> bool {
        self.buffer.resize(READ_OCTETS, 0);
        let (stream, mut buffer) = (&mut self.stream, ReadBuf::new(&mut self.buffer));
        // One poll; a timeout of zero would wait for the runtime's next millisecond.
        let has_nothing = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut buffer).is_pending())
        })
        .await;
        has_nothing && self.replies.is_empty()
    }

    pub(super) async fn greeting(&mut self, patience: Duration) -> Result<(), Fault> {
        let reply = self.reply("greeting", patience).await?;
        if reply.code == 220 { Ok(()) } else { Err(Fault::new("greeting", relayed(&reply).summary())) }
    }

    pub(super) async fn ehlo(&mut self, node_name: &Domain, patience: Duration) -> Result<(), Fault> {
        let reply = self.positive(&format!("EHLO {node_name}\r\n"), "ehlo", patience).await?;
        self.offered = Capabilities::from_ehlo(&reply);
        Ok(())
    }

    pub(super) async fn positive(
        &mut self,
        line: &str,
        step: &'static str,
        patience: Duration,
    ) -> Result<UpstreamReply, Fault> {
        positive(self.ask(line, step, patience).await?, step)
    }

    pub(super) async fn ask(
        &mut self,
        line: &str,
        step: &'static str,
        patience: Duration,
    ) -> Result<UpstreamReply, Fault> {
        if !self.replies.is_empty() {
            return Err(Fault::new("stray_reply", "a reply came that nobody asked for"));
        }
        self.write(line.as_bytes(), patience).await?;
        self.reply(step, patience).await
    }

    pub(super) async fn write(&mut self, octets: &[u8], patience: Duration) -> Result<(), Fault> {
        let write = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        match timeout(patience, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::new("write", error)),
            Err(_) => Err(Fault::new("write", "the server did not read in time")),
        }
    }

    pub(super) async fn reply(
        &mut self,
        step: &'static str,
        patience: Duration,
    ) -> Result<UpstreamReply, Fault> {
        let read = async {
            loop {
                if let Some(reply) = self.replies.next_reply().map_err(|fault| Fault::new(step, fault))? {
                    return Ok(reply);
                }
                self.buffer.resize(READ_OCTETS, 0);
                let count =
                    self.stream.read(&mut self.buffer).await.map_err(|error| Fault::new(step, error))?;
                if count == 0 {
                    return Err(Fault::new(step, "the server closed the connection"));
                }
                self.replies.push(self.buffer.get(..count).unwrap_or_default());
            }
        };
        match timeout(patience, read).await {
            // RFC 5321 3.8: 421 says that the connection ends, whatever was asked.
            Ok(Ok(reply)) if reply.code == 421 => Err(Fault::new(step, reply.lines.join(" "))),
            Ok(reply) => reply,
            Err(_) => Err(Fault::new(step, "no reply in time")),
        }
    }

    pub(super) fn rcpt_line(&self, recipient: &Recipient) -> String {
        format!("RCPT TO:<{}>{}\r\n", recipient.forward_path, recipient.render_parameters(&self.offered))
    }

    /// RFC 3030: the whole message as one last chunk, without waiting for a go-ahead.
    pub(super) async fn send_chunk(
        &mut self,
        content: Content<'_>,
        patience: Duration,
    ) -> Result<Option<UpstreamReply>, Fault> {
        let mut out = format!("BDAT {} LAST\r\n", content.octets).into_bytes();
        for piece in content.pieces {
            out.extend_from_slice(piece);
        }
        self.write(&out, patience).await?;
        self.copy_rest(content.rest, patience, |octets, out| out.extend_from_slice(octets)).await?;
        Ok(None)
    }

    /// RFC 5321 4.1.1.4. A refusal of DATA itself is returned.
    pub(super) async fn send_data(
        &mut self,
        content: Content<'_>,
        patience: Duration,
    ) -> Result<Option<UpstreamReply>, Fault> {
        let go = self.ask("DATA\r\n", "data", patience).await?;
        if go.code != 354 {
            // A 2xx here is no custody of anything.
            let code = if go.code / 100 == 2 { 451 } else { go.code };
            return Ok(Some(UpstreamReply { code, ..go }));
        }
        let mut stuffer = DotStuffer::default();
        let mut out = Vec::new();
        for piece in content.pieces {
            stuffer.push(piece, &mut out);
        }
        self.write(&out, patience).await?;
        self.copy_rest(content.rest, patience, |octets, out| stuffer.push(octets, out)).await?;
        out.clear();
        stuffer.finish(&mut out);
        self.write(&out, patience).await?;
        Ok(None)
    }

    async fn copy_rest(
        &mut self,
        rest: Option<&mut std::fs::File>,
        patience: Duration,
        mut encode: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Result<(), Fault> {
        let Some(rest) = rest else { return Ok(()) };
        let mut octets = vec![0; WRITE_OCTETS];
        let mut out = Vec::new();
        loop {
            let count = rest.read(&mut octets).map_err(|error| Fault::new("temporary_file", error))?;
            if count == 0 {
                return Ok(());
            }
            out.clear();
            encode(octets.get(..count).unwrap_or_default(), &mut out);
            self.write(&out, patience).await?;
        }
    }
}

/// A reply that is not 2xx leaves the connection unusable at this step.
pub(super) fn positive(reply: UpstreamReply, step: &'static str) -> Result<UpstreamReply, Fault> {
    if reply.code / 100 == 2 { Ok(reply) } else { Err(Fault::new(step, relayed(&reply).summary())) }
}
