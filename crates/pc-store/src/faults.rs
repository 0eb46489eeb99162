//! # Purpose
//! Lets a test break the spool's disk at a chosen step: the crash tests fail, or kill the process
//! at, the first step, the second, and so on until a run gets through.
//!
//! # Trust
//! The plan comes from the environment of whoever starts the process.
//!
//! # Invariants
//! Without a plan a step costs one comparison.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What goes wrong, and at which step of the spool's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultPlan {
    /// The step of this number, from 1, fails.
    Fail(u64),
    /// The process ends without a word before the step of this number.
    Kill(u64),
    /// Nothing.
    #[default]
    None,
}

/// Counts steps against a plan.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: FaultPlan,
    count: Arc<AtomicU64>,
}

impl FaultPlan {
    /// Reads `fail:3` and `kill:3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, number) = text.split_once(':')?;
        let number = number.parse().ok()?;
        match word {
            "fail" => Some(Self::Fail(number)),
            "kill" => Some(Self::Kill(number)),
            _ => None,
        }
    }
}

impl Faults {
    /// Faults by `plan`.
    pub fn new(plan: FaultPlan) -> Self {
        Self { plan, count: Arc::default() }
    }

    /// To be called before each operation on the disk.
    ///
    /// # Errors
    /// The planned one.
    pub(crate) fn step(&self) -> io::Result<()> {
        if self.plan == FaultPlan::None {
            return Ok(());
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        match self.plan {
            FaultPlan::Fail(at) if at == number => Err(io::Error::other("a fault that a test asked for")),
            FaultPlan::Kill(at) if at == number => std::process::abort(),
            _ => Ok(()),
        }
    }
}
