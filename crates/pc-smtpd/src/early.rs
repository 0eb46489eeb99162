//! Clients that speak before the greeting. RFC 5321 4.3.1: the client waits for it; programs that only
//! pour out mail do not.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::limits::READ_OCTETS;

/// What a client did before the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It spoke.
    Broken,
    /// It left.
    Gone,
    /// It waited.
    Kept,
}

/// Waits for `delay` whether the client speaks. Nothing that it says counts afterwards.
pub(crate) async fn patience(stream: &mut (impl AsyncRead + Unpin), delay: Duration) -> io::Result<Patience> {
    let mut buffer = vec![0; READ_OCTETS];
    match timeout(delay, stream.read(&mut buffer)).await {
        Ok(Ok(0)) => Ok(Patience::Gone),
        Ok(Ok(_)) => Ok(Patience::Broken),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(Patience::Kept),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_is_let_in_after_the_delay() {
        let (mut server, _client) = tokio::io::duplex(64);
        let started = Instant::now();
        assert_eq!(patience(&mut server, DELAY).await.unwrap(), Patience::Kept);
        assert_eq!(started.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_speaks_is_found_at_once() {
        let (mut server, mut client) = tokio::io::duplex(64);
        let started = Instant::now();
        let (said, found) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_secs(4)).await;
                client.write_all(b"E").await
            },
            patience(&mut server, DELAY)
        );
        said.unwrap();
        assert_eq!((found.unwrap(), started.elapsed().as_secs()), (Patience::Broken, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_is_gone() {
        let (mut server, client) = tokio::io::duplex(64);
        drop(client);
        assert_eq!(patience(&mut server, DELAY).await.unwrap(), Patience::Gone);
    }
}
