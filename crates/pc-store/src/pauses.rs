use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pc_enforce::{DEFAULT_TENANT, GrantedPause, Pause, PauseRefusal, pauses_of};
use sqlx::Row;

use crate::{Store, StoreError};

/// The pauses of the ladder in memory, where decisions read them. A change is in the database before it holds.
#[derive(Debug)]
pub struct PauseBook {
    store: Store,
    shelf: Mutex<Arc<Shelf>>,
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Shelf {
    granted: Vec<GrantedPause>,
    by_tenant: BTreeMap<String, Arc<[Pause]>>,
    /// Of tenants without any pause: stops.
    others: Option<Arc<[Pause]>>,
}

/// Why a pause was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PauseChangeError {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] PauseRefusal),
    /// The database could not be written; nothing has changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PauseBook {
    /// Reads all pauses.
    ///
    /// # Errors
    /// The database cannot be read, or a row is damaged.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = sqlx::query("SELECT pause FROM pause ORDER BY number").fetch_all(&store.pool).await?;
        let granted = rows
            .iter()
            .map(|row| Ok(serde_json::from_str(row.try_get("pause")?)?))
            .collect::<Result<Vec<GrantedPause>, StoreError>>()?;
        let shelf = Mutex::new(Arc::new(Shelf::of(granted)));
        Ok(Self { store: store.clone(), shelf, changing: tokio::sync::Mutex::default() })
    }

    /// When the ladder stands still for servers of `tenant`.
    pub fn of(&self, tenant: Option<&str>) -> Arc<[Pause]> {
        let shelf = self.shelf();
        let own = shelf.by_tenant.get(tenant.unwrap_or(DEFAULT_TENANT));
        own.or(shelf.others.as_ref()).map(Arc::clone).unwrap_or_default()
    }

    /// All pauses and stops, oldest first.
    pub fn all(&self) -> Vec<GrantedPause> {
        self.shelf().granted.clone()
    }

    /// Grants or ends a pause: `change` gets all of them and a number for another one, and says what to write.
    ///
    /// # Errors
    /// See [`PauseChangeError`].
    pub async fn change(
        &self,
        change: impl FnOnce(&[GrantedPause], i64) -> Result<GrantedPause, PauseRefusal>,
    ) -> Result<GrantedPause, PauseChangeError> {
        // Two grants at once would both fit a budget that has room for one.
        let _turn = self.changing.lock().await;
        let shelf = self.shelf();
        let next = shelf.granted.iter().map(|pause| pause.number).max().unwrap_or(0).saturating_add(1);
        let changed = change(&shelf.granted, next)?;
        let json = serde_json::to_string(&changed).map_err(StoreError::from)?;
        sqlx::query("INSERT OR REPLACE INTO pause (number, pause) VALUES (?, ?)")
            .bind(changed.number)
            .bind(json)
            .execute(&self.store.pool)
            .await
            .map_err(StoreError::from)?;
        let mut granted = shelf.granted.clone();
        granted.retain(|pause| pause.number != changed.number);
        granted.push(changed.clone());
        granted.sort_by_key(|pause| pause.number);
        *self.lock() = Arc::new(Shelf::of(granted));
        Ok(changed)
    }

    fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Shelf>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn of(granted: Vec<GrantedPause>) -> Self {
        let tenants = granted.iter().filter_map(|pause| pause.tenant.clone());
        let by_tenant = tenants.map(|tenant| {
            let pauses = pauses_of(&granted, Some(&tenant)).into();
            (tenant, pauses)
        });
        let by_tenant: BTreeMap<String, Arc<[Pause]>> = by_tenant.collect();
        let stops = granted.iter().filter(|pause| pause.tenant.is_none()).cloned().collect::<Vec<_>>();
        let others = (!stops.is_empty()).then(|| pauses_of(&stops, None).into());
        Self { granted, by_tenant, others }
    }
}

#[cfg(test)]
mod tests;
