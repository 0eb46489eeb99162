//! `[admin]`

use std::collections::BTreeSet;

use super::{required, socket_address, unique};
use crate::document::{Diagnostics, Table};
use crate::{AdminUser, Config, limits};

pub(super) fn admin(table: &mut Table<'_, '_>, config: &mut Config, diagnostics: &mut Diagnostics<'_>) {
    config.admin.users = users(table, diagnostics);
    let Some(address) = socket_address(table, diagnostics) else { return };
    if !address.ip().to_canonical().is_loopback() {
        let message = "must be a loopback address, since the pages speak no TLS in this version; use a tunnel to reach \
                       them";
        table.fault("address", diagnostics, message);
    }
    // Port 0 lets the system choose.
    if address.port() != 0 && config.smtp.listeners.iter().any(|listener| listener.address == address) {
        table.fault("address", diagnostics, "is used by an [[smtp.listener]]");
    }
    let https = &config.https;
    let web = https.listeners.iter().chain(&https.redirects).chain(&https.client_tests);
    if address.port() != 0 && web.into_iter().any(|listener| listener.address == address) {
        table.fault("address", diagnostics, "is used by a listener of [https]");
    }
    config.admin.address = address;
}

fn users(table: &mut Table<'_, '_>, diagnostics: &mut Diagnostics<'_>) -> Vec<AdminUser> {
    let mut users = Vec::new();
    let mut names = BTreeSet::new();
    for mut entry in table.tables("user", "admin.user", diagnostics) {
        let name = required(&mut entry, "name", diagnostics);
        unique(&entry, name.as_ref(), &mut names, diagnostics);
        if name.as_ref().is_some_and(|name| !is_user_name(name)) {
            let message = format!(
                "has 1 to {} letters, digits, dots, hyphens and underscores, or is an address",
                limits::USER_NAME_OCTETS_MAX
            );
            entry.fault("name", diagnostics, &message);
        }
        let password_hash = required(&mut entry, "password_hash", diagnostics);
        // Whether it is whole is checked by who verifies passwords with it.
        if password_hash.as_ref().is_some_and(|hash| !hash.starts_with("$argon2id$v=19$")) {
            let message = "is no Argon2id string; `portcullis admin hash-password` makes one";
            entry.fault("password_hash", diagnostics, message);
        }
        if let (Some(name), Some(password_hash)) = (name, password_hash) {
            users.push(AdminUser { name, password_hash });
        }
        entry.finish(diagnostics);
    }
    users
}

fn is_user_name(name: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"._-@+".contains(&octet);
    name.len() <= limits::USER_NAME_OCTETS_MAX && name.bytes().all(fits)
}
