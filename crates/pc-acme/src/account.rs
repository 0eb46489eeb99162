//! # Purpose
//! The account with the authority: taken from its file, or made and written down before it is used.

use instant_acme::{Account, AccountCredentials, Error, ExternalAccountKey, NewAccount};
use pc_renewal::{Failure, FailureKind};
use pc_types::from_base64;
use serde::{Deserialize, Serialize};

use crate::order::Speaking;
use crate::{Obtainer, folder};

/// The file.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    contact: Vec<String>,
    /// Another binding is another account.
    external_account: Option<String>,
    /// It was made in the place of one that was refused, and has made no order yet: no other one is made in its place.
    #[serde(default)]
    is_replacement: bool,
    credentials: AccountCredentials,
}

/// Why there is no account, or no order by it.
pub(crate) enum Refused {
    /// The authority says so, or the library.
    Library(Error),
    /// It is ours.
    Ours(Failure),
}

impl Refused {
    pub(crate) fn failure(&self, speaking: &Speaking<'_>) -> Failure {
        match self {
            Self::Library(error) => speaking.failure(error),
            Self::Ours(failure) => failure.clone(),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Ours(failure)
    }
}

/// Whether the account of the file has yet to prove itself, in whose place no other one is made.
pub(crate) fn is_replacement(obtainer: &Obtainer) -> bool {
    kept(obtainer).is_ok_and(|kept| kept.is_some_and(|kept| kept.is_replacement))
}

/// The account of the file has made an order.
pub(crate) fn proven(obtainer: &Obtainer) -> Result<(), Failure> {
    match kept(obtainer)? {
        Some(kept) if kept.is_replacement => keep(obtainer, &Kept { is_replacement: false, ..kept }),
        _ => Ok(()),
    }
}

/// The account of the file, or another one where there is none for this authority, or `Anew::Yes` asks for it.
pub(crate) async fn account(
    obtainer: &Obtainer,
    speaking: &Speaking<'_>,
    anew: Anew,
) -> Result<Account, Refused> {
    match (kept(obtainer)?, anew) {
        (Some(kept), Anew::No) => restored(obtainer, speaking, kept).await,
        (None, _) | (_, Anew::Yes) => made(obtainer, speaking, anew).await,
    }
}

/// What the file holds for this authority.
fn kept(obtainer: &Obtainer) -> Result<Option<Kept>, Failure> {
    let directory = obtainer.settings.directory.to_string();
    let external = obtainer.settings.external_account.as_ref().map(|(id, _)| id.clone());
    let text = obtainer.folder.account()?;
    // A file that cannot be read as an account is none; its key proves nothing that cannot be proven again.
    let kept: Option<Kept> = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(kept.filter(|kept| kept.directory == directory && kept.external_account == external))
}

/// Whether the account of the file is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anew {
    No,
    Yes,
}

async fn restored(obtainer: &Obtainer, speaking: &Speaking<'_>, kept: Kept) -> Result<Account, Refused> {
    let builder = Account::builder_with_http(Box::new(speaking.transport()));
    let copy = serde_json::to_value(&kept.credentials)
        .and_then(serde_json::from_value)
        .map_err(|error| Failure::new(FailureKind::Folder, &error.to_string()))?;
    let account = builder.from_credentials(copy).await?;
    let wanted = &obtainer.settings.contact;
    if kept.contact != *wanted {
        let contact = addresses(wanted);
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        account.update_contacts(&contact).await?;
        keep(obtainer, &Kept { contact: wanted.clone(), ..kept })?;
    }
    Ok(account)
}

async fn made(obtainer: &Obtainer, speaking: &Speaking<'_>, anew: Anew) -> Result<Account, Refused> {
    let contact = addresses(&obtainer.settings.contact);
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    // The configuration is refused without terms_agreed = true.
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = external_key(obtainer)?;
    let builder = Account::builder_with_http(Box::new(speaking.transport()));
    let created = builder.create(&new, obtainer.settings.directory.to_string(), external.as_ref()).await;
    let (account, credentials) = created?;
    let kept = Kept {
        directory: obtainer.settings.directory.to_string(),
        contact: obtainer.settings.contact.clone(),
        external_account: obtainer.settings.external_account.as_ref().map(|(id, _)| id.clone()),
        is_replacement: anew == Anew::Yes,
        credentials,
    };
    keep(obtainer, &kept)?;
    Ok(account)
}

fn keep(obtainer: &Obtainer, kept: &Kept) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(kept)
        .map_err(|error| Failure::new(FailureKind::Folder, &error.to_string()))?;
    obtainer.folder.keep_account(&text)
}

/// RFC 8555 7.3: contacts are addresses of the scheme mailto.
fn addresses(contact: &[String]) -> Vec<String> {
    contact.iter().map(|address| format!("mailto:{address}")).collect()
}

/// RFC 8555 7.3.4.
fn external_key(obtainer: &Obtainer) -> Result<Option<ExternalAccountKey>, Failure> {
    let Some((id, path)) = &obtainer.settings.external_account else { return Ok(None) };
    let fault = |reason: &str| {
        Failure::new(FailureKind::Account, &format!("eab_key_file {}: {reason}", path.display()))
    };
    let text = folder::read_bounded(path).map_err(|error| fault(&error.to_string()))?;
    let text = text.ok_or_else(|| fault("there is no such file"))?;
    let key = key_of(text.trim()).ok_or_else(|| fault("holds no key in base64url"))?;
    Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
}

/// Authorities give the key in base64url without padding; some write it with, or in the other alphabet.
pub(crate) fn key_of(text: &str) -> Option<Vec<u8>> {
    let mut plain: String = text
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    from_base64(&plain).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_external_account_is_read_in_either_alphabet() {
        for text in ["-_8", "-_8=", "+/8="] {
            assert_eq!(key_of(text).as_deref(), Some(&[0xfb, 0xff][..]), "{text}");
        }
        for text in ["", "=", "a b", "a"] {
            assert_eq!(key_of(text), None, "{text}");
        }
    }
}
