use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pc_enforce::ServerRecord;
use pc_net::network_of;
use pc_types::{Domain, ServerId, Timestamp};

use crate::limits::SERVERS_PER_NETWORK_MAX;
use crate::writer::Writer;
use crate::{Store, StoreError};

/// The ladder's records in memory, with every change on its way to the database. Decisions read
/// here, so that a slow disk never holds up mail.
#[derive(Debug)]
pub struct ServerBook {
    /// By id. Whoever reads all of them holds up the decisions of one shelf at a time.
    shelves: Vec<Mutex<HashMap<ServerId, ServerRecord>>>,
    /// How many records each network has. Taken with a shelf held, never the other way round.
    networks: Vec<Mutex<HashMap<IpAddr, usize>>>,
    writer: Writer,
}

impl ServerBook {
    /// Reads all records.
    ///
    /// # Errors
    /// The database cannot be read, or a record is damaged.
    pub async fn load(store: &Store, writer: Writer) -> Result<Self, StoreError> {
        let book = Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
            networks: (0..SHELVES).map(|_| Mutex::default()).collect(),
            writer,
        };
        for record in store.servers().await? {
            book.put(&mut book.shelf_of(&record.id), record);
        }
        Ok(book)
    }

    /// The id of the server that connects from `address` and greets as `greeting_name`. A network
    /// that keeps inventing greeting names shares one id from then on, so that names cost no memory.
    pub fn id_for(&self, address: IpAddr, greeting_name: Option<&Domain>) -> ServerId {
        let id = ServerId::derive(address, greeting_name);
        let network = network_of(address);
        let known = self.count_of(network).get(&network).copied().unwrap_or(0);
        if known < SERVERS_PER_NETWORK_MAX || self.shelf_of(&id).contains_key(&id) {
            id
        } else {
            ServerId::derive(network, None)
        }
    }

    /// Forgets servers that were last seen before `before` and have no exemption; returns how many.
    pub fn forget_silent(&self, before: Timestamp) -> usize {
        let silent = |record: &&ServerRecord| record.last_seen < before && record.exemption.is_none();
        let mut forgotten = 0;
        for shelf in &self.shelves {
            let mut shelf = lock(shelf);
            let ids: Vec<ServerId> = shelf.values().filter(silent).map(|record| record.id.clone()).collect();
            for id in &ids {
                self.take(&mut shelf, id);
                self.writer.server(id.clone(), None);
            }
            forgotten += ids.len();
        }
        forgotten
    }

    /// The record of one server.
    pub fn find(&self, id: &ServerId) -> Option<ServerRecord> {
        self.shelf_of(id).get(id).cloned()
    }

    /// All records, in no order and not of one moment.
    pub fn all(&self) -> Vec<ServerRecord> {
        self.select(|_| true)
    }

    /// The records that `wanted` says yes to, in no order and not of one moment.
    pub fn select(&self, wanted: impl Fn(&ServerRecord) -> bool) -> Vec<ServerRecord> {
        let mut selected = Vec::new();
        for shelf in &self.shelves {
            selected.extend(lock(shelf).values().filter(|record| wanted(record)).cloned());
        }
        selected
    }

    /// Changes the record of one server: `change` gets what is there and returns what shall be
    /// there, with a value for the caller. The change is queued for the database.
    pub fn change<T>(
        &self,
        id: &ServerId,
        change: impl FnOnce(Option<ServerRecord>) -> (Option<ServerRecord>, T),
    ) -> T {
        let mut shelf = self.shelf_of(id);
        let before = shelf.get(id).cloned();
        let (after, value) = change(before.clone());
        if after != before {
            // Queued with the shelf held, so that the database sees changes in their order.
            self.writer.server(id.clone(), after.clone());
            match after {
                Some(record) => self.put(&mut shelf, record),
                None => self.take(&mut shelf, id),
            }
        }
        value
    }

    fn put(&self, shelf: &mut HashMap<ServerId, ServerRecord>, record: ServerRecord) {
        let network = network_of(record.address);
        if shelf.insert(record.id.clone(), record).is_none() {
            *self.count_of(network).entry(network).or_default() += 1;
        }
    }

    fn take(&self, shelf: &mut HashMap<ServerId, ServerRecord>, id: &ServerId) {
        let Some(record) = shelf.remove(id) else { return };
        let network = network_of(record.address);
        let mut counts = self.count_of(network);
        if let Some(count) = counts.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&network);
            }
        }
    }

    fn shelf_of(&self, id: &ServerId) -> MutexGuard<'_, HashMap<ServerId, ServerRecord>> {
        lock(place_of(&self.shelves, id))
    }

    fn count_of(&self, network: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        lock(place_of(&self.networks, &network))
    }
}

/// At a million servers a shelf holds a thousand, which are copied in about a millisecond.
const SHELVES: usize = 1024;

#[expect(clippy::indexing_slicing, reason = "both lists are made with that many and never change")]
fn place_of<'a, T>(shelves: &'a [T], key: &impl Hash) -> &'a T {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let place = usize::try_from(hasher.finish() % SHELVES as u64).unwrap_or_default();
    &shelves[place]
}

fn lock<T>(shelf: &Mutex<T>) -> MutexGuard<'_, T> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
