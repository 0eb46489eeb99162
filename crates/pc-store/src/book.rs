use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pc_enforce::ServerRecord;
use pc_types::ServerId;

use crate::writer::Writer;
use crate::{Store, StoreError};

/// The ladder's records in memory, with every change on its way to the database. Decisions read
/// here, so that a slow disk never holds up mail.
#[derive(Debug)]
pub struct ServerBook {
    records: Mutex<HashMap<ServerId, ServerRecord>>,
    writer: Writer,
}

impl ServerBook {
    /// Reads all records.
    ///
    /// # Errors
    /// The database cannot be read, or a record is damaged.
    pub async fn load(store: &Store, writer: Writer) -> Result<Self, StoreError> {
        let records = store.servers().await?.into_iter().map(|record| (record.id.clone(), record)).collect();
        Ok(Self { records: Mutex::new(records), writer })
    }

    /// The record of one server.
    pub fn find(&self, id: &ServerId) -> Option<ServerRecord> {
        self.lock().get(id).cloned()
    }

    /// All records, in no order.
    pub fn all(&self) -> Vec<ServerRecord> {
        self.lock().values().cloned().collect()
    }

    /// Changes the record of one server: `change` gets what is there and returns what shall be
    /// there, with a value for the caller. The change is queued for the database.
    pub fn change<T>(
        &self,
        id: &ServerId,
        change: impl FnOnce(Option<ServerRecord>) -> (Option<ServerRecord>, T),
    ) -> T {
        let mut records = self.lock();
        let before = records.get(id).cloned();
        let (after, value) = change(before.clone());
        if after != before {
            self.writer.server(id.clone(), after.clone());
            match after {
                Some(record) => records.insert(id.clone(), record),
                None => records.remove(id),
            };
        }
        value
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, ServerRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
