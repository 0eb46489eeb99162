//! What our own listeners offer, against the checklist and grades of SSL Labs, by handshakes in memory.

use pc_tls::{CertificateStore, ServerTls};

use crate::exit::{Failure, chain};

/// What came of a check.
pub struct Checked {
    /// With its arithmetic.
    pub grade: String,
    /// Items that were not met, in words.
    pub failed: Vec<String>,
}

/// Of a connection in memory: more than a flight of a handshake.
const MEMORY_OCTETS: usize = 64 * 1024;

/// All listeners have the same standard and certificates, so that one check is for all.
pub async fn check(store: &CertificateStore) -> Result<Checked, Failure> {
    let fault = |error: &dyn std::error::Error| Failure::internal(chain(error));
    let tls = ServerTls::new("check", store).map_err(|error| fault(&error))?;
    let target = pc_tls::check::CheckTarget {
        server_name: store.names().into_iter().next().unwrap_or_default(),
        roots: pc_tls::Roots::WebPki,
        http: pc_tls::check::HttpQuestion::No,
    };
    let connect = || {
        let (ours, theirs) = tokio::io::duplex(MEMORY_OCTETS);
        let tls = tls.clone();
        tokio::spawn(async move {
            // Held until the check is done with it: tickets come behind the handshake.
            if let Ok(mut accepted) = tls.accept(theirs, pc_tls::limits::HANDSHAKE_DEADLINE).await {
                let _ = tokio::io::AsyncReadExt::read(&mut accepted.stream, &mut [0; 1]).await;
            }
        });
        std::future::ready(Ok(ours))
    };
    let facts = pc_tls::check::check(connect, &target).await.map_err(|error| fault(&error))?;
    let rating = pc_rating::rate(&facts);
    let grade = rating.grade.map_or_else(|| "none".to_owned(), |grade| grade.to_string());
    let score = rating.score.map_or_else(String::new, |score| format!(" ({score})"));
    let failed = rating.items.iter().filter(|item| {
        item.weight == pc_rating::Weight::Standard && item.finding == pc_rating::Finding::Fail
    });
    let mut failed: Vec<String> = failed.map(|item| format!("{} ({})", item.title, item.detail)).collect();
    if failed.is_empty() && !rating.meets_standard() {
        failed.push("not everything could be seen".to_owned());
    }
    Ok(Checked { grade: format!("{grade}{score}"), failed })
}
