//! Events of mail programs' connections.

use metrics::counter;
use tracing::{info, warn};

use crate::Event;

impl Event<'_> {
    pub(crate) fn emit_stream(self) {
        match self {
            Self::LoginSeen { listener, address, protocol, code } => {
                info!(listener, %address, protocol, code, "login");
                counter!("pc_stream_logins_total", "protocol" => protocol, "code" => code).increment(1);
            }
            Self::StreamEnded { listener, address, protocol, host, code, octets_in, octets_out, elapsed } => {
                info!(
                    listener,
                    %address,
                    protocol,
                    host,
                    code,
                    octets_in,
                    octets_out,
                    elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                    "mail program's connection ended"
                );
                counter!("pc_stream_connections_total", "protocol" => protocol, "code" => code).increment(1);
                counter!("pc_stream_octets_total", "protocol" => protocol).increment(octets_in + octets_out);
            }
            // Somebody may stand in between.
            Self::StreamRejected { listener, address, protocol, code: code @ "starttls_injection" } => {
                warn!(listener, %address, protocol, code, "octets behind STARTTLS, connection closed");
                counter!("pc_stream_rejections_total", "protocol" => protocol, "code" => code).increment(1);
            }
            Self::StreamRejected { listener, address, protocol, code } => {
                info!(listener, %address, protocol, code, "mail program refused");
                counter!("pc_stream_rejections_total", "protocol" => protocol, "code" => code).increment(1);
            }
            _ => {}
        }
    }
}
