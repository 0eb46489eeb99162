//! Keys that were fetched for a message, in the form in which the library looks for them before it asks the DNS. Every
//! name has an answer here, so that it never does.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{Error, ResolverCache, Txt};
use pc_dns::{Answer, Budget, Kind, Query, Records, Resolver};

/// By name, with a dot at the end.
pub(crate) struct Keys(HashMap<Box<str>, Result<Arc<DomainKey>, String>>);

impl Keys {
    pub(crate) async fn fetch(
        resolver: &Resolver,
        budget: &Budget,
        names: impl Iterator<Item = &str>,
    ) -> Self {
        let mut keys = HashMap::new();
        for name in names {
            let name: Box<str> = name.to_ascii_lowercase().into();
            let key = match Query::new(&name, Kind::Txt) {
                // Asked twice, the second comes from the cache.
                Some(query) => key(&resolver.ask(budget, &query).await),
                None => Err("the name of the key fits into no question".to_owned()),
            };
            keys.insert(name, key);
        }
        Self(keys)
    }

    /// Why none can be used; `None` when one can.
    pub(crate) fn none_usable(&self) -> Option<String> {
        let mut why = String::new();
        for (name, key) in &self.0 {
            match key {
                Ok(_) => return None,
                Err(error) => why = format!("{}: {error}", name.trim_end_matches('.')),
            }
        }
        Some(why)
    }
}

/// RFC 6376 3.6.2.2: of several records any may be meant; the first that is a key is taken.
fn key(answer: &Answer) -> Result<Arc<DomainKey>, String> {
    let records = match answer {
        Answer::Found(Records::Txt(records)) => records,
        Answer::Found(_) | Answer::NotFound => return Err("there is no key".to_owned()),
        Answer::Temporary(why) => return Err(format!("the key could not be fetched: {why}")),
    };
    let mut why = "there is no key".to_owned();
    for record in records {
        match DomainKey::parse(record) {
            // RFC 6376 3.6.1: as if it were not signed.
            Ok(_) if is_in_test_mode(record) => why = "the key is in test mode (t=y)".to_owned(),
            Ok(key) => return Ok(Arc::new(key)),
            Err(error) => why = format!("the key cannot be read: {error}"),
        }
    }
    Err(why)
}

/// `t=` lists flags divided by colons.
fn is_in_test_mode(record: &[u8]) -> bool {
    let record = String::from_utf8_lossy(record);
    let tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let flags = tags.filter(|(name, _)| name.trim() == "t").flat_map(|(_, flags)| flags.split(':'));
    flags.into_iter().any(|flag| flag.trim().eq_ignore_ascii_case("y"))
}

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let absent = || Txt::Error(Error::Io("no such key was fetched".to_owned()));
        Some(match self.0.get(name) {
            Some(Ok(key)) => Txt::DomainKey(Arc::clone(key)),
            Some(Err(why)) => Txt::Error(Error::Io(why.clone())),
            None => absent(),
        })
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// Of the kinds that signatures need nothing of.
pub(crate) struct NoRecords;

impl<K, V> ResolverCache<K, V> for NoRecords {
    fn get<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}
