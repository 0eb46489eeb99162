//! Accounts of the pages: passwords, sessions, and how often a wrong password is taken.
//!
//! Passwords are kept as Argon2id strings (RFC 9106) in the configuration; sessions live in memory and end with the
//! process. The cookie is `HttpOnly` and `SameSite=Strict`; every form carries the session's own token as well, so that
//! no other page can send one (OWASP: Cross-Site Request Forgery Prevention).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use pc_types::{Timestamp, hex};
use tokio::sync::Semaphore;

use crate::access::Permit;
use crate::limits::{
    FAILURE_BUCKETS, FAILURES_MAX, FAILURES_PAUSE_SECONDS, PASSWORD_CHARACTERS_MIN, PASSWORD_OCTETS_MAX,
    SALT_OCTETS, SESSION_IDLE_SECONDS, SESSION_SECONDS, SESSIONS_MAX, TOKEN_OCTETS,
};

/// Somebody who may change things on the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it is typed and as it stands in the audit log.
    pub name: String,
    /// A string of the form `$argon2id$v=19$...`.
    pub password_hash: String,
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too easy to guess, or too long to be meant.
    #[error(
        "a password has {PASSWORD_CHARACTERS_MIN} characters at least and {PASSWORD_OCTETS_MAX} octets at most"
    )]
    Length,
    /// Argon2 refused.
    #[error("the password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// The hash that `[[admin.user]]` takes.
///
/// # Errors
/// See [`PasswordError`].
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < PASSWORD_CHARACTERS_MIN || password.len() > PASSWORD_OCTETS_MAX {
        return Err(PasswordError::Length);
    }
    let salt = SaltString::encode_b64(&random::<SALT_OCTETS>()?).map_err(PasswordError::Hash)?;
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(PasswordError::Hash)?.to_string())
}

/// 19 MiB, two passes, one lane: the least of the OWASP Password Storage Cheat Sheet.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Whether a text can be the hash of a [`User`].
pub fn is_password_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm == argon2::ARGON2ID_IDENT && hash.hash.is_some())
}

/// Why nobody is signed in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignInError {
    /// It does not say which of the two.
    #[error("Name or password is wrong.")]
    Wrong,
    /// Guessing takes too long to be worth it.
    #[error(
        "Too many wrong passwords for this name; the next try counts after {0}. The command line on this machine works meanwhile."
    )]
    TooMany(Timestamp),
}

/// Who is signed in on a request.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The user's name.
    pub(crate) name: String,
    /// What each form of this session carries.
    pub(crate) form_token: String,
}

impl Visitor {
    /// The permit for a form that carries this session's token.
    pub(crate) fn permit(&self, form_token: Option<&str>) -> Option<Permit> {
        (form_token == Some(self.form_token.as_str())).then(|| Permit::of(&self.name))
    }
}

struct Session {
    visitor: Visitor,
    begun: Timestamp,
    used: Timestamp,
}

/// A session ends unused after half an hour, and in any case after half a day; a clock set back ends it too.
fn is_over(session: &Session, now: Timestamp) -> bool {
    let age = |since: Timestamp| now.as_second().saturating_sub(since.as_second());
    let (age, idle) = (age(session.begun), age(session.used));
    !(0..SESSION_SECONDS).contains(&age) || !(0..SESSION_IDLE_SECONDS).contains(&idle)
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

#[derive(Default)]
struct State {
    users: Vec<User>,
    /// By the cookie's value.
    sessions: HashMap<String, Session>,
    /// By a keyed digest of the name that was typed, of [`FAILURE_BUCKETS`]: names that nobody has are treated like all
    /// others, and guessing them fills no memory.
    failures: HashMap<u64, Failures>,
}

/// All accounts and sessions of the pages.
pub struct Logins {
    state: Mutex<State>,
    buckets: RandomState,
    /// A hash takes 19 MiB and a core for a while: one at a time.
    verifying: Semaphore,
}

impl Logins {
    /// For these users; without one the pages are read by everybody and change nothing.
    pub fn new(users: Vec<User>) -> Self {
        let state = Mutex::new(State { users, ..State::default() });
        Self { state, buckets: RandomState::new(), verifying: Semaphore::new(1) }
    }

    /// Takes these users from now on; sessions of those who are gone or have another password end.
    pub fn set_users(&self, users: Vec<User>) {
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.users, users);
        let State { users, sessions, .. } = &mut *state;
        sessions.retain(|_, session| {
            let of = |all: &[User]| all.iter().find(|user| user.name == session.visitor.name).cloned();
            of(users).is_some_and(|user| Some(user) == of(&old))
        });
    }

    /// Whether the pages ask who comes.
    pub(crate) fn are_asked_for(&self) -> bool {
        !self.lock().users.is_empty()
    }

    /// Who has the session of this cookie value; using it keeps it alive.
    pub(crate) fn visitor(&self, token: &str, now: Timestamp) -> Option<Visitor> {
        let mut state = self.lock();
        let session = state.sessions.get_mut(token)?;
        if is_over(session, now) {
            state.sessions.remove(token);
            return None;
        }
        session.used = now;
        Some(session.visitor.clone())
    }

    /// The cookie value of a new session.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: &str,
        now: Timestamp,
    ) -> Result<String, SignInError> {
        // One after the other, so that each failure is counted before the next try.
        let _turn = self.verifying.acquire().await;
        let bucket = self.buckets.hash_one(name) % FAILURE_BUCKETS;
        let hash = self.asked(bucket, name, now)?;
        let password = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || is_password(&password, hash.as_deref())).await;
        if !verified.unwrap_or(false) {
            self.count_failure(bucket, now);
            return Err(SignInError::Wrong);
        }
        let tokens = random_token().and_then(|token| Ok((token, random_token()?)));
        let (token, form_token) = tokens.map_err(|_| SignInError::Wrong)?;
        let mut state = self.lock();
        state.failures.remove(&bucket);
        state.sessions.retain(|_, session| !is_over(session, now));
        if state.sessions.len() >= SESSIONS_MAX {
            let oldest = state.sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(token) = oldest.map(|(token, _)| token.clone()) {
                state.sessions.remove(&token);
            }
        }
        let visitor = Visitor { name: name.to_owned(), form_token };
        state.sessions.insert(token.clone(), Session { visitor, begun: now, used: now });
        Ok(token)
    }

    pub(crate) fn sign_out(&self, token: &str) {
        self.lock().sessions.remove(token);
    }

    /// The hash of a name, if somebody has it; an error while nobody may try it.
    fn asked(&self, bucket: u64, name: &str, now: Timestamp) -> Result<Option<String>, SignInError> {
        let state = self.lock();
        let user = state.users.iter().find(|user| user.name == name);
        if let Some(failures) = state.failures.get(&bucket)
            && failures.count >= FAILURES_MAX
        {
            let next = failures.last.as_second().saturating_add(FAILURES_PAUSE_SECONDS);
            if now.as_second() < next {
                let next = Timestamp::from_second(next).unwrap_or(failures.last);
                return Err(SignInError::TooMany(next));
            }
        }
        Ok(user.map(|user| user.password_hash.clone()))
    }

    fn count_failure(&self, bucket: u64, now: Timestamp) {
        let mut state = self.lock();
        let before = state.failures.get(&bucket).copied().unwrap_or(Failures { count: 0, last: now });
        let is_recent = now.as_second().saturating_sub(before.last.as_second()) < FAILURES_PAUSE_SECONDS;
        let count = if is_recent { before.count.saturating_add(1) } else { 1 };
        state.failures.insert(bucket, Failures { count, last: now });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes as long for a name that nobody has.
fn is_password(password: &str, hash: Option<&str>) -> bool {
    if password.len() > PASSWORD_OCTETS_MAX {
        return false;
    }
    let Some(hash) = hash else {
        if let Ok(salt) = SaltString::encode_b64(&[0; SALT_OCTETS]) {
            let _ = argon2().hash_password(password.as_bytes(), &salt);
        }
        return false;
    };
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

/// 256 bits of the system's randomness, in hexadecimal.
fn random_token() -> Result<String, PasswordError> {
    Ok(hex(&random::<TOKEN_OCTETS>()?))
}

/// Of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], PasswordError> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(PasswordError::Randomness)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn logins() -> Logins {
        let password_hash = hash_password("correct horse battery").unwrap();
        Logins::new(vec![User { name: "auditor".into(), password_hash }])
    }

    #[test]
    fn a_hash_is_argon2id_and_short_passwords_get_none() {
        let hash = hash_password("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_password_hash(&hash));
        assert!(
            !is_password_hash("correct horse battery")
                && !is_password_hash("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ")
        );
        assert!(matches!(hash_password("short"), Err(PasswordError::Length)));
        assert!(matches!(hash_password(&"x".repeat(2_000)), Err(PasswordError::Length)));
    }

    #[tokio::test]
    async fn a_session_ends_unused_after_half_an_hour_and_in_any_case_after_half_a_day() {
        let logins = logins();
        let token =
            logins.sign_in("auditor", "correct horse battery", at("2026-11-02T08:00:00Z")).await.unwrap();
        assert_eq!(logins.visitor(&token, at("2026-11-02T08:29:59Z")).unwrap().name, "auditor");
        assert!(logins.visitor(&token, at("2026-11-02T08:59:59Z")).is_none());
        let token =
            logins.sign_in("auditor", "correct horse battery", at("2026-11-02T08:00:00Z")).await.unwrap();
        for minutes in (20..720).step_by(20) {
            let now = Timestamp::from_second(at("2026-11-02T08:00:00Z").as_second() + minutes * 60).unwrap();
            assert!(logins.visitor(&token, now).is_some(), "{now}");
        }
        assert!(logins.visitor(&token, at("2026-11-02T20:00:00Z")).is_none());
    }

    #[tokio::test]
    async fn the_sixth_try_waits_a_quarter_of_an_hour_whatever_the_password() {
        let logins = logins();
        let now = at("2026-11-02T08:00:00Z");
        for _ in 0..5 {
            assert_eq!(logins.sign_in("auditor", "wrong", now).await, Err(SignInError::Wrong));
            assert_eq!(logins.sign_in("nobody", "wrong", now).await, Err(SignInError::Wrong));
        }
        let refused = Err(SignInError::TooMany(at("2026-11-02T08:15:00Z")));
        assert_eq!(logins.sign_in("auditor", "correct horse battery", now).await, refused);
        assert_eq!(logins.sign_in("nobody", "wrong", now).await, refused, "as with a name that there is");
        assert!(logins.sign_in("auditor", "correct horse battery", at("2026-11-02T08:15:00Z")).await.is_ok());
    }

    #[tokio::test]
    async fn wrong_tries_of_some_names_slow_no_other_name_down() {
        let logins = logins();
        let now = at("2026-11-02T08:00:00Z");
        for number in 0..6 {
            let name = format!("nobody{number}");
            assert_eq!(logins.sign_in(&name, "wrong", now).await, Err(SignInError::Wrong), "{name}");
        }
    }

    #[tokio::test]
    async fn who_is_gone_or_has_another_password_is_signed_out() {
        let logins = logins();
        let now = at("2026-11-02T08:00:00Z");
        let token = logins.sign_in("auditor", "correct horse battery", now).await.unwrap();
        let same = logins.lock().users.clone();
        logins.set_users(same);
        assert!(logins.visitor(&token, now).is_some());
        let other =
            User { name: "auditor".into(), password_hash: hash_password("another long one").unwrap() };
        logins.set_users(vec![other]);
        assert!(logins.visitor(&token, now).is_none());
    }

    #[tokio::test]
    async fn a_permit_needs_the_token_of_the_own_session() {
        let logins = logins();
        let now = at("2026-11-02T08:00:00Z");
        let mut visitors = Vec::new();
        for _ in 0..2 {
            let token = logins.sign_in("auditor", "correct horse battery", now).await.unwrap();
            visitors.push(logins.visitor(&token, now).unwrap());
        }
        let own = visitors[0].form_token.clone();
        assert!(visitors[0].permit(Some(&own)).is_some_and(|permit| permit.actor() == "auditor"));
        assert!(visitors[1].permit(Some(&own)).is_none() && visitors[0].permit(None).is_none());
    }
}
