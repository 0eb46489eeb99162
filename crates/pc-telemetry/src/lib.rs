//! # Purpose
//! Everything worth knowing is an [`Event`]. Emitting one writes a log line and moves a metric, so
//! that neither can be forgotten or named twice.
//!
//! # Trust
//! Fields may carry peer data: text goes through [`pc_types::Escaped`] before it is logged, and never
//! into a metric label. Labels are stable codes of our own enums.
//!
//! # Standards
//! Prometheus text exposition format 0.0.4.
//!
//! # Invariants
//! The logger and the metric recorder are the only global state of the product, set once by `main`.

mod acme;
mod attestation;
mod event;
mod ocsp;
mod spool;
mod standard;
mod stream;
mod text;
mod web;

pub use attestation::Attesting;
pub use event::{Event, Outcome};
pub use ocsp::OcspSeen;
pub use web::WebRequest;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter expression.
    #[error("log level {0:?} is not understood; use error, warn, info, debug or trace")]
    Level(String),
    /// There is nowhere to write to.
    #[error("standard error cannot be used: {0}")]
    StandardError(#[source] std::io::Error),
    /// A logger or recorder exists already.
    #[error("telemetry was set up twice")]
    Twice,
}

/// Starts logging to standard error.
///
/// # Errors
/// An unreadable level, no standard error, or a second call.
pub fn start_logging(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(level).map_err(|_| TelemetryError::Level(level.to_owned()))?;
    let writer = text::standard_error().map_err(TelemetryError::StandardError)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let result = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            builder.with_ansi(false).with_target(false).fmt_fields(text::TextFields).try_init()
        }
    };
    result.map_err(|_| TelemetryError::Twice)
}

/// Renders the metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder of this process.
    ///
    /// # Errors
    /// A second call.
    pub fn install() -> Result<Self, TelemetryError> {
        let handle = PrometheusBuilder::new().install_recorder().map_err(|_| TelemetryError::Twice)?;
        event::describe();
        Ok(Self(handle))
    }

    /// A recorder of nobody's, for tests and commands that have no server: renders nothing.
    pub fn detached() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// Sums up histograms. Each value is kept until then, so that somebody has to call this every few seconds, whether anything
    /// reads the metrics or not.
    pub fn sum_up(&self) {
        self.0.run_upkeep();
    }

    /// The current values in Prometheus text format.
    pub fn render(&self) -> String {
        self.sum_up();
        self.0.render()
    }
}
