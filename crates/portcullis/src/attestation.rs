//! Attestations of the configuration's tenants.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use pc_config::Config;
use pc_exchange::{Catalogue, Form};
use pc_httpd::{Attested, TakeAttestation};
use pc_net::Clock;
use pc_types::Date;
use pc_web::{Attestor, Judge};

use crate::exit::Failure;
use crate::node::Records;

/// What takes attestations and holds them against mail.
pub fn attestor(
    config: &Config,
    records: &Records,
    catalogue: &Arc<ArcSwap<Catalogue>>,
    clock: Clock,
) -> Arc<Attestor> {
    let key_files = config.tenants.iter().filter_map(|tenant| {
        Some((tenant.name.clone(), PathBuf::from(tenant.attestation_key_file.as_ref()?)))
    });
    Arc::new(Attestor {
        key_files: key_files.collect(),
        book: Arc::clone(&records.attestations),
        servers: Arc::clone(&records.servers),
        writer: records.writer.clone(),
        judge: judge(Arc::clone(catalogue)),
        clock,
    })
}

/// For the web edge; `None` where no tenant has a key.
pub fn taking(attestor: &Arc<Attestor>) -> Option<TakeAttestation> {
    let attestor = (!attestor.key_files.is_empty()).then(|| Arc::clone(attestor))?;
    Some(Arc::new(move |body: Vec<u8>, address: IpAddr| -> Attested {
        let attestor = Arc::clone(&attestor);
        // To its end, whoever waits for it: half taken in, it could be taken in twice.
        let answering = tokio::spawn(async move { attestor.answer(&body, address).await });
        Box::pin(async move {
            let failed = |_| (503, "{\"error\":\"failed\",\"message\":\"Try again later.\"}\n".to_owned());
            answering.await.unwrap_or_else(failed)
        })
    }))
}

/// Each tenant that is to have a key has one.
pub async fn check_keys(config: &Config) -> Result<(), Failure> {
    for tenant in &config.tenants {
        let Some(path) = &tenant.attestation_key_file else { continue };
        if let Err(error) = pc_web::attestation_key(Path::new(path)).await {
            let text = format!("[[tenant]] {}: attestation_key_file {error}", tenant.name);
            return Err(Failure::configuration(text));
        }
    }
    Ok(())
}

/// The catalogue's view of a build.
pub fn judge(catalogue: Arc<ArcSwap<Catalogue>>) -> Judge {
    Arc::new(move |build: &str, date: Date| {
        let Ok(build) = build.parse() else { return serde_json::Value::Null };
        let judgement = catalogue.load().judge_build(build, Form::Smtp, date);
        serde_json::to_value(&judgement).unwrap_or_default()
    })
}
