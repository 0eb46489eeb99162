use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

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
    shelves: Mutex<Shelves>,
    writer: Writer,
}

#[derive(Debug, Default)]
struct Shelves {
    records: HashMap<ServerId, ServerRecord>,
    /// How many records each network has.
    networks: HashMap<IpAddr, usize>,
}

impl ServerBook {
    /// Reads all records.
    ///
    /// # Errors
    /// The database cannot be read, or a record is damaged.
    pub async fn load(store: &Store, writer: Writer) -> Result<Self, StoreError> {
        let mut shelves = Shelves::default();
        for record in store.servers().await? {
            shelves.put(record);
        }
        Ok(Self { shelves: Mutex::new(shelves), writer })
    }

    /// The id of the server that connects from `address` and greets as `greeting_name`. A network
    /// that keeps inventing greeting names shares one id from then on, so that names cost no memory.
    pub fn id_for(&self, address: IpAddr, greeting_name: Option<&Domain>) -> ServerId {
        let id = ServerId::derive(address, greeting_name);
        let shelves = self.lock();
        let known = shelves.networks.get(&network_of(address)).copied().unwrap_or(0);
        if known < SERVERS_PER_NETWORK_MAX || shelves.records.contains_key(&id) {
            id
        } else {
            ServerId::derive(network_of(address), None)
        }
    }

    /// Forgets servers that were last seen before `before` and have no exemption; returns how many.
    pub fn forget_silent(&self, before: Timestamp) -> usize {
        let mut shelves = self.lock();
        let silent = |record: &&ServerRecord| record.last_seen < before && record.exemption.is_none();
        let ids: Vec<ServerId> =
            shelves.records.values().filter(silent).map(|record| record.id.clone()).collect();
        for id in &ids {
            shelves.take(id);
            self.writer.server(id.clone(), None);
        }
        ids.len()
    }

    /// The record of one server.
    pub fn find(&self, id: &ServerId) -> Option<ServerRecord> {
        self.lock().records.get(id).cloned()
    }

    /// All records, in no order.
    pub fn all(&self) -> Vec<ServerRecord> {
        self.lock().records.values().cloned().collect()
    }

    /// The records that `wanted` says yes to, in no order.
    pub fn select(&self, wanted: impl Fn(&ServerRecord) -> bool) -> Vec<ServerRecord> {
        self.lock().records.values().filter(|record| wanted(record)).cloned().collect()
    }

    /// Changes the record of one server: `change` gets what is there and returns what shall be
    /// there, with a value for the caller. The change is queued for the database.
    pub fn change<T>(
        &self,
        id: &ServerId,
        change: impl FnOnce(Option<ServerRecord>) -> (Option<ServerRecord>, T),
    ) -> T {
        let mut shelves = self.lock();
        let before = shelves.records.get(id).cloned();
        let (after, value) = change(before.clone());
        if after != before {
            self.writer.server(id.clone(), after.clone());
            match after {
                Some(record) => shelves.put(record),
                None => shelves.take(id),
            }
        }
        value
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn put(&mut self, record: ServerRecord) {
        let network = network_of(record.address);
        if self.records.insert(record.id.clone(), record).is_none() {
            *self.networks.entry(network).or_default() += 1;
        }
    }

    fn take(&mut self, id: &ServerId) {
        let Some(record) = self.records.remove(id) else { return };
        let network = network_of(record.address);
        if let Some(count) = self.networks.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
    }
}
