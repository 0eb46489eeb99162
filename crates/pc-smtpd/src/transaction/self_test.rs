//! Mail to the self-test address: read, judged, answered by the reply to its end, and delivered to nobody. The answer reaches
//! the sender as a bounce of its own server, so no mail of ours can go to somebody whose name was forged.

use pc_smtp::{EnhancedCode, ForwardPath, Reply};

use super::Transaction;
use crate::edge::Edge;

/// Whether `path` is the address.
pub(super) fn is_address(edge: &Edge, path: &ForwardPath) -> bool {
    let address = edge.settings.self_test.as_deref();
    address.is_some_and(|address| path.to_string().eq_ignore_ascii_case(address))
}

impl Transaction {
    /// The answer to a recipient where a self-test is asked for, before or by this one.
    pub(super) fn self_test_reply(&mut self, edge: &Edge, path: &ForwardPath) -> Option<Reply> {
        let is_address = is_address(edge, path);
        if is_address && self.target.is_none() {
            self.is_self_test = true;
            let text = "this is the self-test, the reply to the message tells what it showed";
            return Some(Reply::new(250, EnhancedCode(2, 1, 5), text));
        }
        // Each transaction has one final answer.
        (is_address || self.is_self_test).then(|| {
            Reply::new(452, EnhancedCode(4, 5, 3), "the self-test goes alone, send the others apart")
        })
    }
}
