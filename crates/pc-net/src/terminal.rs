use std::io;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Does `read` while the terminal of standard input shows nothing of what is typed.
///
/// # Errors
/// Standard input is no terminal, or cannot be set.
pub fn without_echo<T>(read: impl FnOnce() -> T) -> io::Result<T> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &quiet)?;
    let done = read();
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    Ok(done)
}
