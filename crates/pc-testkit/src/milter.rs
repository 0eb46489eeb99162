use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// A milter on loopback that answers by a script and keeps what it was told.
pub struct Milter {
    /// As the configuration names it.
    pub address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// How a milter answers each command, by its letter: `O` negotiate, `C` connect, `H` HELO, `M` MAIL, `R`
/// RCPT, `T` DATA, `L` a field, `N` the end of the header, `B` a part of the body, `E` its end.
#[derive(Clone, Debug)]
pub struct MilterScript {
    offer: [u32; 3],
    answers: BTreeMap<u8, MilterAnswer>,
}

/// What a milter does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MilterAnswer {
    /// Closes the connection.
    Close,
    /// Says nothing more.
    Hang,
    /// Sends these octets.
    Octets(Vec<u8>),
    /// Says twice a second that it is at work, and never anything else.
    ProgressForever,
}

/// One command: its letter and what followed.
pub type MilterCommand = (u8, Vec<u8>);

struct Shared {
    script: Mutex<MilterScript>,
    conversations: Mutex<Vec<Vec<MilterCommand>>>,
}

impl MilterScript {
    /// Version 6, all changes, all steps; says "continue" to all of them.
    pub fn accept() -> Self {
        Self { offer: [6, 0x31, 0], answers: BTreeMap::new() }
    }

    /// Answers the offer with this version, these actions and these steps.
    #[must_use]
    pub fn offering(mut self, version: u32, actions: u32, steps: u32) -> Self {
        self.offer = [version, actions, steps];
        self
    }

    /// Answers the command `letter` otherwise.
    #[must_use]
    pub fn on(mut self, letter: u8, answer: MilterAnswer) -> Self {
        self.answers.insert(letter, answer);
        self
    }

    /// Answers the end of the body with these packets.
    #[must_use]
    pub fn at_end(self, packets: &[(u8, &[u8])]) -> Self {
        let octets = packets.iter().flat_map(|(letter, payload)| milter_packet(*letter, payload)).collect();
        self.on(b'E', MilterAnswer::Octets(octets))
    }

    /// Holds one conversation to its end; adds each command to `told` when it has come.
    pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        told: impl Fn(MilterCommand),
    ) -> std::io::Result<()> {
        loop {
            let length = stream.read_u32().await?;
            let mut packet = vec![0; usize::try_from(length).unwrap_or_default()];
            stream.read_exact(&mut packet).await?;
            let Some((letter, payload)) = packet.split_first() else { return Ok(()) };
            let letter = *letter;
            told((letter, payload.to_vec()));
            let is_answered = match letter {
                b'D' | b'A' => false,
                b'Q' => return Ok(()),
                _ => self.gives_reply(letter),
            };
            match self.answers.get(&letter) {
                Some(MilterAnswer::Close) => return Ok(()),
                Some(MilterAnswer::Hang) => std::future::pending().await,
                Some(MilterAnswer::Octets(octets)) => stream.write_all(octets).await?,
                Some(MilterAnswer::ProgressForever) => loop {
                    stream.write_all(&milter_packet(b'p', b"")).await?;
                    stream.flush().await?;
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                },
                None if letter == b'O' => {
                    let payload: Vec<u8> = self.offer.into_iter().flat_map(u32::to_be_bytes).collect();
                    stream.write_all(&milter_packet(b'O', &payload)).await?;
                }
                None if is_answered => stream.write_all(&milter_packet(b'c', b"")).await?,
                None => {}
            }
            stream.flush().await?;
        }
    }

    fn gives_reply(&self, letter: u8) -> bool {
        let no_reply = match letter {
            b'B' => 0x8_0000,
            b'C' => 0x1000,
            b'H' => 0x2000,
            b'L' => 0x80,
            b'M' => 0x4000,
            b'N' => 0x4_0000,
            b'R' => 0x8000,
            b'T' => 0x1_0000,
            _ => 0,
        };
        let [_, _, steps] = self.offer;
        steps & no_reply == 0
    }
}

/// A packet as octets.
pub fn milter_packet(letter: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    let mut octets = length.to_be_bytes().to_vec();
    octets.push(letter);
    octets.extend_from_slice(payload);
    octets
}

impl Milter {
    /// Starts it on a port.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start(script: MilterScript) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let shared = Shared::new(script);
        let accepting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                conversations.spawn(Arc::clone(&accepting).serve(stream));
            }
        });
        Ok(Self { address: address.to_string(), shared, task })
    }

    /// Starts it on a socket in the file system.
    ///
    /// # Errors
    /// The socket's.
    pub async fn start_at(path: &Path, script: MilterScript) -> std::io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let shared = Shared::new(script);
        let accepting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                conversations.spawn(Arc::clone(&accepting).serve(stream));
            }
        });
        Ok(Self { address: format!("unix:{}", path.display()), shared, task })
    }

    /// Behaves differently from the next connection on.
    pub fn behave(&self, script: MilterScript) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// What it was told so far, one entry a connection.
    pub fn conversations(&self) -> Vec<Vec<MilterCommand>> {
        self.shared.conversations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Milter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn new(script: MilterScript) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script), conversations: Mutex::new(Vec::new()) })
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self: Arc<Self>, stream: S) {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let index = {
            let mut conversations = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
            conversations.push(Vec::new());
            conversations.len() - 1
        };
        let told = |command| {
            let mut conversations = self.conversations.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(conversation) = conversations.get_mut(index) {
                conversation.push(command);
            }
        };
        // The peer may close at any time.
        let _ = script.converse(stream, told).await;
    }
}
