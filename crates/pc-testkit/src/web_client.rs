use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pc_tls::ClientTls;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An HTTP/1 client that sends the octets it is told to.
pub struct WebClient {
    stream: BufReader<Box<dyn Stream>>,
}

/// What it got.
#[derive(Clone, Debug, Default)]
pub struct WebResponse {
    /// `HTTP/1.1`.
    pub version: String,
    /// 200 and the like.
    pub status: u16,
    /// Names as they came.
    pub fields: Vec<(String, String)>,
    /// Without chunks.
    pub body: Vec<u8>,
}

impl WebResponse {
    /// The values of a field, whatever its case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl WebClient {
    /// Connects in plain text.
    ///
    /// # Errors
    /// The socket's.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(Box::new(TcpStream::connect(address).await?)) })
    }

    /// Connects by TLS for `name`.
    ///
    /// # Errors
    /// The socket's, or the handshake's.
    pub async fn connect_in_tls(address: SocketAddr, tls: &ClientTls, name: &str) -> io::Result<Self> {
        Self::secured(TcpStream::connect(address).await?, tls, name).await
    }

    /// The same as a load balancer at `source` would: `header` comes before all.
    ///
    /// # Errors
    /// The socket's, or the handshake's.
    pub async fn connect_through(
        (source, header): (IpAddr, &[u8]),
        address: SocketAddr,
        tls: &ClientTls,
        name: &str,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let mut stream = socket.connect(address).await?;
        stream.write_all(header).await?;
        Self::secured(stream, tls, name).await
    }

    async fn secured(stream: TcpStream, tls: &ClientTls, name: &str) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let connected = tls.connect(stream, name, HANDSHAKE_TIMEOUT).await.map_err(io::Error::other)?;
        Ok(Self { stream: BufReader::new(Box::new(connected.stream)) })
    }

    /// Writes octets as they are.
    ///
    /// # Errors
    /// The socket's.
    pub async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// Writes a request and reads its answer.
    ///
    /// # Errors
    /// The socket's, or an end before the answer's.
    pub async fn ask(&mut self, request: &str) -> io::Result<WebResponse> {
        self.write(request.as_bytes()).await?;
        self.response(request.split(' ').next().unwrap_or_default()).await
    }

    /// Reads the answer to a request of `method`.
    ///
    /// # Errors
    /// The socket's, or an end before the answer's.
    pub async fn response(&mut self, method: &str) -> io::Result<WebResponse> {
        let mut response = self.head().await?;
        if method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304) {
            return Ok(response);
        }
        if !response.values("Transfer-Encoding").is_empty() {
            while let Some(chunk) = self.chunk().await? {
                response.body.extend(chunk);
            }
        } else if let Some(length) = response.values("Content-Length").first() {
            let length = length.parse().map_err(io::Error::other)?;
            response.body = vec![0; length];
            self.stream.read_exact(&mut response.body).await?;
        } else {
            self.stream.read_to_end(&mut response.body).await?;
        }
        Ok(response)
    }

    /// Reads the head of an answer.
    ///
    /// # Errors
    /// The socket's, or an end before the head's.
    pub async fn head(&mut self) -> io::Result<WebResponse> {
        let line = self.line().await?;
        let mut words = line.split(' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok()).unwrap_or(0);
        let mut response = WebResponse { version, status, ..WebResponse::default() };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(response);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            response.fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Reads one chunk; `None` is the last.
    ///
    /// # Errors
    /// The socket's, or an end inside the body.
    pub async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk).await?;
        self.line().await?;
        Ok((length > 0).then_some(chunk))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// So many octets as they come.
    ///
    /// # Errors
    /// The socket's, or an end before them.
    pub async fn read_exact(&mut self, octets: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(octets).await.map(|_| ())
    }

    /// All octets until the end, whichever way it comes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        // A reset is an end as well.
        let _ = self.stream.read_to_end(&mut octets).await;
        octets
    }
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
