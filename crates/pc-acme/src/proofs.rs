use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pc_tls::{Challenges, Published};
use pc_types::Domain;

use crate::limits::TOKEN_OCTETS_MAX;

/// The proofs of names that authorities may look for now. Clones share them.
#[derive(Clone, Default)]
pub struct Proofs {
    /// By TLS.
    pub challenges: Challenges,
    tokens: Arc<Mutex<BTreeMap<String, (String, String)>>>,
}

/// A proof that can be seen while this value lives.
pub(crate) enum Shown {
    Http { token: String, proofs: Proofs },
    Tls { _published: Published },
}

impl Proofs {
    /// For a token under way the name that it proves and what is to be answered (RFC 8555 8.3).
    pub fn find(&self, token: &str) -> Option<(String, String)> {
        self.lock().get(token).cloned()
    }

    /// `None` where the token is none: RFC 8555 8.3 allows the alphabet of base64url, and it becomes part of a path.
    pub(crate) fn show_http(&self, name: &Domain, token: &str, text: &str) -> Option<Shown> {
        let is_plain =
            token.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
        if token.is_empty() || token.len() > TOKEN_OCTETS_MAX || !is_plain {
            return None;
        }
        self.lock().insert(token.to_owned(), (name.as_str().to_owned(), text.to_owned()));
        Some(Shown::Http { token: token.to_owned(), proofs: self.clone() })
    }

    pub(crate) fn show_tls(&self, published: Published) -> Shown {
        Shown::Tls { _published: published }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (String, String)>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.lock().values().map(|(name, _)| name)).finish()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Self::Http { token, proofs } = self {
            proofs.lock().remove(token);
        }
    }
}
