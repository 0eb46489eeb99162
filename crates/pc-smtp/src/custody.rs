//! Proof that a message is safe with somebody, without which no `250` to it can be built.

/// Who holds the message.
#[derive(Debug)]
pub enum Custody {
    /// The server behind said 250 to the end of data.
    Accepted(Accepted),
    /// It is committed to disk.
    Persisted(Persisted),
}

/// The server behind took the message. Minted only by [`crate::client::final_reply`].
#[derive(Debug)]
pub struct Accepted {
    pub(crate) _private: (),
}

/// The message was written, synced and renamed, and its directory synced.
#[derive(Debug)]
pub struct Persisted {
    _private: (),
}

impl Persisted {
    /// To be called by the code that has just seen the sync of file and directory return, and by
    /// nothing else; `cargo xtask tidy` holds the list of callers.
    pub fn danger_synced_to_disk() -> Self {
        Self { _private: () }
    }
}
