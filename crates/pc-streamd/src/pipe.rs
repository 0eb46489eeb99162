//! Passes octets both ways after a login, as fast as the slower side reads.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pc_net::Stop;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use crate::limits::{HALF_CLOSED_TIMEOUT, QUIET, READ_OCTETS_MAX, READ_OCTETS_MIN};

/// Octets that passed.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// From the client.
    pub(crate) client: AtomicU64,
    /// From the server.
    pub(crate) server: AtomicU64,
}

/// What a pipe does when the node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtStop {
    /// It ends once nothing passes.
    EndWhenQuiet,
    /// It goes on for as long as the node waits: what it does may not be cut short without harm.
    GoOn,
}

/// When something passed last.
struct Activity(Mutex<Instant>);

impl Activity {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns once nothing has passed for `silence`.
    async fn ended(&self, silence: Duration) {
        loop {
            let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner) + silence;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// Runs until both sides have ended; returns how it ended.
pub(crate) async fn pipe<C, S>(
    client: C,
    server: S,
    (idle_timeout, at_stop): (Duration, AtStop),
    passed: &Passed,
    stop: &mut Stop,
) -> &'static str
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Activity(Mutex::new(Instant::now()));
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut server_read, mut server_write) = tokio::io::split(server);
    let upward = copy(&mut client_read, &mut server_write, &activity, &passed.client);
    let downward = copy(&mut server_read, &mut client_write, &activity, &passed.server);
    tokio::pin!(upward, downward);
    let stopped = async {
        stop.stopped().await;
        match at_stop {
            AtStop::EndWhenQuiet => activity.ended(QUIET).await,
            AtStop::GoOn => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = &mut upward => {
            let rest = timeout(HALF_CLOSED_TIMEOUT, downward).await;
            code(&[ended, rest.unwrap_or(Ok(()))], "client_closed")
        }
        ended = &mut downward => {
            let rest = timeout(HALF_CLOSED_TIMEOUT, upward).await;
            code(&[ended, rest.unwrap_or(Ok(()))], "server_closed")
        }
        () = activity.ended(idle_timeout) => "idle_timeout",
        () = stopped => "shutdown",
    }
}

fn code(ends: &[io::Result<()>; 2], good: &'static str) -> &'static str {
    if ends.iter().all(Result::is_ok) { good } else { "connection_lost" }
}

/// Copies until `from` ends, then ends `to`.
async fn copy<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    from: &mut R,
    to: &mut W,
    activity: &Activity,
    passed: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_OCTETS_MIN];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        activity.note();
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
        activity.note();
        passed.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        let wanted = if count == buffer.len() { READ_OCTETS_MAX } else { READ_OCTETS_MIN };
        if buffer.len() < wanted || count < READ_OCTETS_MIN {
            buffer.resize(wanted, 0);
            buffer.shrink_to(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use pc_net::Stopper;
    use tokio::io::duplex;

    use super::*;

    const IDLE: Duration = Duration::from_secs(2_100);

    #[tokio::test(start_paused = true)]
    async fn idle_of_29_minutes_survives_and_silence_beyond_the_timeout_ends() {
        let ((mut client, ours), (mut server, behind)) = (duplex(64), duplex(64));
        let (_stopper, mut stop) = Stopper::new();
        let passed = Passed::default();
        let began = Instant::now();
        let piping = pipe(ours, behind, (IDLE, AtStop::EndWhenQuiet), &passed, &mut stop);
        let talking = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(29 * 60)).await;
                client.write_all(b"DONE\r\n").await.expect("the pipe is open");
                let mut got = [0; 6];
                server.read_exact(&mut got).await.expect("the pipe is open");
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! { ended = piping => ended, () = talking => unreachable!("it waits") };
        assert_eq!(ended, "idle_timeout");
        assert_eq!(began.elapsed(), Duration::from_secs(3 * 29 * 60) + IDLE);
        assert_eq!(passed.client.load(Ordering::Relaxed), 18);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_does_not_read_stops_the_other() {
        let ((client, ours), (mut server, behind)) = (duplex(64), duplex(64));
        let (_stopper, mut stop) = Stopper::new();
        let passed = Passed::default();
        let piping = pipe(ours, behind, (IDLE, AtStop::GoOn), &passed, &mut stop);
        let written = std::cell::Cell::new(0);
        let pouring = async {
            while server.write_all(&[b'x'; 64]).await.is_ok() {
                written.set(written.get() + 64);
            }
        };
        let ended = tokio::select! { ended = piping => ended, () = pouring => "poured" };
        assert_eq!(ended, "idle_timeout", "nothing passes any more");
        assert!(written.get() <= 64 + 64 + READ_OCTETS_MAX, "{}", written.get());
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_nodes_end_a_quiet_pipe_ends_and_one_that_must_go_on_does() {
        for (at_stop, want) in [(AtStop::EndWhenQuiet, "shutdown"), (AtStop::GoOn, "idle_timeout")] {
            let ((_client, ours), (_server, behind)) = (duplex(64), duplex(64));
            let (stopper, mut stop) = Stopper::new();
            stopper.stop();
            assert_eq!(pipe(ours, behind, (IDLE, at_stop), &Passed::default(), &mut stop).await, want);
        }
    }
}
