use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pc_smtp::client::{DotStuffer, ReplyReader, UpstreamReply};
use pc_tls::ClientTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An SMTP client under the control of a test.
pub struct Client {
    stream: Box<dyn Stream>,
    replies: ReplyReader,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects in plain text and reads the greeting.
    ///
    /// # Errors
    /// The socket's, or no greeting.
    pub async fn connect(address: SocketAddr) -> io::Result<(Self, UpstreamReply)> {
        Self::greeted(Box::new(TcpStream::connect(address).await?)).await
    }

    /// The same from a given address of the loopback range.
    ///
    /// # Errors
    /// The socket's, or no greeting.
    pub async fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<(Self, UpstreamReply)> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        Self::greeted(Box::new(socket.connect(address).await?)).await
    }

    /// Connects with TLS from the first octet and reads the greeting.
    ///
    /// # Errors
    /// The socket's, the handshake's, or no greeting.
    pub async fn connect_in_tls(
        address: SocketAddr,
        tls: &ClientTls,
        name: &str,
    ) -> io::Result<(Self, UpstreamReply)> {
        let stream = TcpStream::connect(address).await?;
        let connected = tls.connect(stream, name, HANDSHAKE_TIMEOUT).await.map_err(io::Error::other)?;
        Self::greeted(Box::new(connected.stream)).await
    }

    /// Connects as a load balancer would that conveys the address of a client: `header` comes before all.
    ///
    /// # Errors
    /// The socket's, or no greeting.
    pub async fn connect_through(header: &[u8], address: SocketAddr) -> io::Result<(Self, UpstreamReply)> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(header).await?;
        Self::greeted(Box::new(stream)).await
    }

    async fn greeted(stream: Box<dyn Stream>) -> io::Result<(Self, UpstreamReply)> {
        let mut client = Self { stream, replies: ReplyReader::default(), buffer: vec![0; 16 * 1024] };
        let greeting = client.reply().await?;
        Ok((client, greeting))
    }

    /// Writes octets as they are.
    ///
    /// # Errors
    /// The socket's.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// Reads the next reply.
    ///
    /// # Errors
    /// The socket's; `UnexpectedEof` when the peer closed.
    pub async fn reply(&mut self) -> io::Result<UpstreamReply> {
        loop {
            if let Some(reply) = self.replies.next_reply().map_err(io::Error::other)? {
                return Ok(reply);
            }
            let count = self.stream.read(&mut self.buffer).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.replies.push(self.buffer.get(..count).unwrap_or_default());
        }
    }

    /// Writes a line with CRLF and reads its reply.
    ///
    /// # Errors
    /// The socket's.
    pub async fn command(&mut self, line: &str) -> io::Result<UpstreamReply> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// STARTTLS and the handshake.
    ///
    /// # Errors
    /// A refusal of STARTTLS, the socket's, the handshake's.
    pub async fn start_tls(mut self, tls: &ClientTls, name: &str) -> io::Result<Self> {
        let go = self.command("STARTTLS").await?;
        if go.code != 220 {
            return Err(io::Error::other(format!("STARTTLS was answered {}", go.code)));
        }
        self.shake_hands(tls, name).await
    }

    /// The handshake alone.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn shake_hands(self, tls: &ClientTls, name: &str) -> io::Result<Self> {
        let connected = tls.connect(self.stream, name, HANDSHAKE_TIMEOUT).await.map_err(io::Error::other)?;
        Ok(Self { stream: Box::new(connected.stream), replies: ReplyReader::default(), buffer: self.buffer })
    }

    /// Sends one message by DATA; returns the replies to MAIL, each RCPT, DATA and the end of data,
    /// as far as they were positive.
    ///
    /// # Errors
    /// The socket's.
    pub async fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<Vec<UpstreamReply>> {
        let recipients: Vec<String> = to.iter().map(|recipient| format!("<{recipient}>")).collect();
        self.send_with(&format!("<{from}>"), &recipients, message).await
    }

    /// The same with what stands behind `FROM:` and `TO:` in full, parameters included.
    ///
    /// # Errors
    /// The socket's.
    pub async fn send_with(
        &mut self,
        from: &str,
        to: &[String],
        message: &[u8],
    ) -> io::Result<Vec<UpstreamReply>> {
        let mut replies = vec![self.command(&format!("MAIL FROM:{from}")).await?];
        for recipient in to {
            replies.push(self.command(&format!("RCPT TO:{recipient}")).await?);
        }
        if replies.iter().skip(1).all(|reply| reply.code / 100 != 2) {
            self.command("RSET").await?;
            return Ok(replies);
        }
        let go = self.command("DATA").await?;
        let going = go.code == 354;
        replies.push(go);
        if going {
            let mut wire = Vec::with_capacity(message.len() + 16);
            let mut stuffer = DotStuffer::default();
            stuffer.push(message, &mut wire);
            stuffer.finish(&mut wire);
            self.write(&wire).await?;
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// Whether the peer has closed, octets before it aside.
    pub async fn is_closed(&mut self) -> bool {
        loop {
            match self.stream.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            }
        }
    }
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
