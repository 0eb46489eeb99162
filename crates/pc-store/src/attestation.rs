use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pc_enforce::{Attestation, AttestationRefusal};
use pc_types::{Timestamp, time};
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::limits::{ATTESTATION_KEPT_HOURS_MIN, ATTESTED_HOSTS_MAX};
use crate::query::{address, decode, timestamp};
use crate::writer::moment;
use crate::{Store, StoreError};

/// An attestation that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredAttestation {
    /// What it says.
    #[serde(flatten)]
    pub attestation: Attestation,
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// Where from; `None` for one that was taken in by hand.
    pub address: Option<IpAddr>,
}

/// Why one was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] AttestationRefusal),
    /// The database could not be written; nothing has changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// By tenant and host.
type Shelf = BTreeMap<(String, String), StoredAttestation>;

/// The last attestation of each host, in memory and in the database. What is taken is in the database before it counts.
#[derive(Debug)]
pub struct AttestationBook {
    store: Store,
    shelf: Mutex<Arc<Shelf>>,
    changing: tokio::sync::Mutex<()>,
}

impl AttestationBook {
    /// Reads all of them.
    ///
    /// # Errors
    /// The database cannot be read, or a row is damaged.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = sqlx::query("SELECT * FROM attestation").fetch_all(&store.pool).await?;
        let shelf = rows.iter().map(|row| Ok(placed(stored(row)?))).collect::<Result<Shelf, StoreError>>()?;
        Ok(Self {
            store: store.clone(),
            shelf: Mutex::new(Arc::new(shelf)),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// All of them, by tenant and host.
    pub fn all(&self) -> Vec<StoredAttestation> {
        self.shelf().values().cloned().collect()
    }

    /// Takes one in if `admit` says yes to it, given the last of its host.
    ///
    /// # Errors
    /// See [`AttestationError`].
    pub async fn take(
        &self,
        one: StoredAttestation,
        admit: impl FnOnce(Option<&Attestation>) -> Result<(), AttestationRefusal>,
    ) -> Result<(), AttestationError> {
        // The same twice at once would pass twice.
        let _turn = self.changing.lock().await;
        let shelf = self.shelf();
        let (key, one) = placed(one);
        admit(shelf.get(&key).map(|last| &last.attestation))?;
        let outgoing =
            if shelf.contains_key(&key) { None } else { outgoing(&shelf, &key.0, one.received_at)? };
        self.write(&one, outgoing.as_ref()).await?;
        let mut shelf = (*shelf).clone();
        if let Some(outgoing) = outgoing {
            shelf.remove(&outgoing);
        }
        shelf.insert(key, one);
        *self.lock() = Arc::new(shelf);
        Ok(())
    }

    async fn write(
        &self,
        one: &StoredAttestation,
        outgoing: Option<&(String, String)>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.store.pool.begin().await?;
        if let Some((tenant, host)) = outgoing {
            sqlx::query("DELETE FROM attestation WHERE tenant = ? AND host = ?")
                .bind(tenant)
                .bind(host)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(
            "INSERT OR REPLACE INTO attestation (tenant, host, build, at, received_at, nonce, address) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&one.attestation.tenant)
        .bind(one.attestation.host.as_str())
        .bind(one.attestation.build.to_string())
        .bind(moment(one.attestation.at))
        .bind(moment(one.received_at))
        .bind(&one.attestation.nonce)
        .bind(one.address.map(|address| address.to_string()))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Shelf>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host that gives way to another one of its tenant, if one must.
fn outgoing(
    shelf: &Shelf,
    tenant: &str,
    now: Timestamp,
) -> Result<Option<(String, String)>, AttestationRefusal> {
    let own = || shelf.iter().filter(|((of, _), _)| of == tenant);
    if own().count() < ATTESTED_HOSTS_MAX {
        return Ok(None);
    }
    let (key, oldest) = own().min_by_key(|(_, one)| one.attestation.at).ok_or(AttestationRefusal::NoRoom)?;
    let is_past = time::add_hours(oldest.attestation.at, ATTESTATION_KEPT_HOURS_MIN) < now;
    if is_past { Ok(Some(key.clone())) } else { Err(AttestationRefusal::NoRoom) }
}

fn placed(one: StoredAttestation) -> ((String, String), StoredAttestation) {
    ((one.attestation.tenant.clone(), one.attestation.host.to_string()), one)
}

fn stored(row: &SqliteRow) -> Result<StoredAttestation, StoreError> {
    let (host, build): (String, String) = (row.try_get("host")?, row.try_get("build")?);
    let has_address = row.try_get::<Option<String>, _>("address")?.is_some();
    Ok(StoredAttestation {
        attestation: Attestation {
            tenant: row.try_get("tenant")?,
            host: host.parse().map_err(|error| decode("host", error))?,
            build: build.parse().map_err(|error| decode("build", error))?,
            at: timestamp(row, "at")?,
            nonce: row.try_get("nonce")?,
        },
        received_at: timestamp(row, "received_at")?,
        address: if has_address { Some(address(row, "address")?) } else { None },
    })
}

#[cfg(test)]
mod tests;
