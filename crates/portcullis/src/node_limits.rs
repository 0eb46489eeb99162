//! From a configuration to how much a node takes.

use std::path::{Path, PathBuf};

use pc_config::Config;
use pc_smtpd::quota::{QuotaLimits, Rates};
use pc_smtpd::{Disk, HeadMemory, Room};

/// Room on the file systems of the data folder and the database, and in memory.
pub fn room(config: &Config) -> Room {
    let mut folders = vec![PathBuf::from(&config.node.data)];
    let database = config.store.path.as_ref().and_then(|path| Path::new(path).parent().map(Path::to_owned));
    // The folder of a bare file name is the current one.
    folders.extend(
        database.map(|folder| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }),
    );
    let free = move || {
        folders.iter().try_fold(u64::MAX, |least, folder| Ok(least.min(pc_net::free_octets(folder)?)))
    };
    let megabytes = |count: u64| count.saturating_mul(1_000_000);
    Room::new(
        Disk::new(megabytes(config.store.free_space_min_megabytes), free),
        HeadMemory::new(megabytes(config.smtp.message_memory_max_megabytes)),
    )
}

/// How much may come in a time.
pub fn quota_limits(settings: &pc_config::SmtpLimits) -> QuotaLimits {
    let rates = |shared: pc_config::SharedRates| Rates {
        commands: shared.commands_per_minute,
        connections: shared.connections_per_minute,
        messages: shared.messages_per_hour,
        octets: shared.megabytes_per_hour.saturating_mul(1_000_000),
        recipients: shared.recipients_per_hour,
        ..Rates::default()
    };
    QuotaLimits {
        client: Rates {
            errors: settings.client.errors_per_hour,
            unknown_recipients: settings.client.unknown_recipients_per_hour,
            ..rates(settings.client.shared)
        },
        connector: rates(settings.connector),
        overall: rates(settings.overall),
        tenant: rates(settings.tenant),
    }
}
