//! # Purpose
//! The SMTP edge as a running thing: drives `pc_smtp::Session` over sockets and TLS, asks the ladder
//! about each sender, reads the evidence of each message, hands over.
//!
//! # Trust
//! Clients are hostile. The server behind is proven by its certificate. The store may fail at any
//! time without holding up mail.
//!
//! # Standards
//! See `pc-smtp`. RFC 8314 3.3 for the listener with implicit TLS.
//!
//! # Invariants
//! All decisions are made by pure crates; what is here moves octets, waits and counts. A message is
//! answered 250 only with `Accepted` or `Persisted` in hand, and handed over only with `Screened`.
//!
//! # See also
//! `recipients` for who exists, `milter` for content scanners, `upstream` for hand-over, `connection` for the loop, `transaction` for one message.

mod admission;
mod connection;
mod connector;
mod early;
mod edge;
pub mod limits;
mod message;
mod milter;
pub mod queue;
pub mod quota;
mod recipients;
mod room;
mod sender;
mod silent;
mod steps;
mod suspects;
mod tarpit;
mod transaction;
mod upstream;

pub use connection::{Listener, ListenerTls, serve};
pub use connector::{ConnectorSettings, Counting};
pub use edge::{Delivery, Edge, EdgeSettings, Target, TraceIds, target_for};
pub use message::MessageBuffer;
pub use milter::{Milter, MilterAddress, MilterSettings, OnFailure};
pub use recipients::{
    RecipientCacheSettings, RecipientFile, RecipientFileError, RecipientList, RecipientListFault,
    RecipientsReload, Subaddress,
};
pub use room::{Disk, HeadMemory, Room};
pub use sender::{PrivateAddresses, SenderChecks, SpfChecks};
pub use suspects::{FaultMark, Suspects};
pub use tarpit::Tarpit;
pub use upstream::{
    Content, Fault, HandOverError, HostSettings, ListedHost, Opened, Upstream, UpstreamSettings, UpstreamTls,
    UpstreamTransaction,
};
