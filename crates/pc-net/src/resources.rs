//! What the system gives this process: file handles and room on disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};

use crate::limits::ACCEPT_RETRY_PAUSE;

/// Raises the limit of open files to what the administrator allows at most: each connection needs one, and the
/// usual 1,024 are there for programs that use `select`. Returns the limit that holds; `None` for none.
///
/// # Errors
/// The system's; the limit stays as it was.
pub fn raise_file_handles() -> io::Result<Option<u64>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum)
}

/// Octets that this process may still write on the file system of `path`.
///
/// # Errors
/// The system's.
pub fn free_octets(path: &Path) -> io::Result<u64> {
    let state = rustix::fs::statvfs(path)?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

/// Whether `error` says that this process or this machine has no file handle or no memory left: a fault of ours, and
/// not of whoever was to be reached.
pub fn has_run_out(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// A file handle in reserve: with none left, a client could not even be told so, and its connection would make
/// accepting fail again and again.
#[derive(Debug)]
pub(crate) struct SpareHandle(Option<File>);

impl SpareHandle {
    /// Takes one; without one, accepting waits and tries again.
    pub(crate) fn take() -> Self {
        Self(open().ok())
    }

    /// After `error` from accepting: turns the next client away with the spare handle, where handles have run out and it
    /// is there. Otherwise waits a moment.
    pub(crate) async fn turn_one_away(
        &mut self,
        listener: &TcpListener,
        error: &io::Error,
        refusal: &[u8],
    ) -> Option<std::net::SocketAddr> {
        let has_run_out = matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
        if !has_run_out || self.0.take().is_none() {
            tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            self.0 = self.0.take().or_else(|| open().ok());
            return None;
        }
        // The client may be gone, and somebody else may have taken the handle.
        let accepted = tokio::time::timeout(ACCEPT_RETRY_PAUSE, listener.accept()).await;
        let told = match accepted {
            Ok(Ok((stream, peer))) => {
                // It may be gone already.
                let _ = say(stream, refusal);
                Some(peer)
            }
            Ok(Err(_)) => {
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
                None
            }
            Err(_) => None,
        };
        self.0 = open().ok();
        told
    }
}

fn open() -> io::Result<File> {
    File::open("/dev/null")
}

/// At once: the buffer of a socket that was just accepted is empty.
fn say(stream: TcpStream, refusal: &[u8]) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    let _ = stream.write(refusal);
    stream.shutdown(std::net::Shutdown::Both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_some_room_here_and_none_where_nothing_is() {
        assert!(free_octets(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap() > 0);
        assert!(free_octets(Path::new("/no such folder")).is_err());
    }

    #[test]
    fn the_limit_of_open_files_is_the_highest_that_is_allowed() {
        let limit = raise_file_handles().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
    }

    #[tokio::test]
    async fn with_no_handle_left_a_client_is_told_and_the_spare_is_taken_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut spare = SpareHandle::take();
        let error = io::Error::from(Errno::MFILE);
        let told = spare.turn_one_away(&listener, &error, b"421 4.3.2 later\r\n").await;
        assert_eq!(told, Some(client.local_addr().unwrap()));
        assert!(spare.0.is_some());
        let mut got = String::new();
        io::Read::read_to_string(&mut client, &mut got).unwrap();
        assert_eq!(got, "421 4.3.2 later\r\n");
    }

    #[tokio::test(start_paused = true)]
    async fn any_failure_without_a_client_costs_a_pause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut spare = SpareHandle::take();
        for error in [Errno::MFILE, Errno::CONNABORTED] {
            let started = tokio::time::Instant::now();
            assert_eq!(spare.turn_one_away(&listener, &error.into(), b"").await, None);
            assert!(started.elapsed() >= ACCEPT_RETRY_PAUSE, "{error}");
        }
    }
}
