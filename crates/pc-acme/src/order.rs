//! # Purpose
//! One order from its names to the certificate (RFC 8555 7.1.6).

use instant_acme::{
    AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use pc_renewal::{Challenge, Failure, FailureKind};
use pc_types::Domain;

use crate::Obtainer;
use crate::account::{self, Anew, Refused};
use crate::limits::{POLL_FIRST, POLL_GROWTH, POLL_TIMEOUT};
use crate::proofs::Shown;
use crate::transport::{Asking, Transport, TransportError};

/// What all steps of one try share.
pub(crate) struct Speaking<'a> {
    obtainer: &'a Obtainer,
    asking: Asking,
}

impl Speaking<'_> {
    pub(crate) fn transport(&self) -> Transport {
        Transport {
            fetcher: std::sync::Arc::clone(&self.obtainer.fetcher),
            directory: self.obtainer.settings.directory.to_string(),
            asking: self.asking.clone(),
            clock: self.obtainer.clock.clone(),
        }
    }

    /// An error of the library, with what the authority asks to wait.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        let kind = match error {
            Error::Api(problem) => FailureKind::of_problem(problem.r#type.as_deref(), problem.status),
            Error::Timeout(_) => FailureKind::Timeout,
            Error::Other(other) => match other.downcast_ref::<TransportError>() {
                Some(TransportError::Fetch(_)) => FailureKind::Connection,
                _ => FailureKind::Server,
            },
            _ => FailureKind::Server,
        };
        Failure::new(kind, &error.to_string()).with_retry_after(self.asking.to_wait())
    }
}

/// The chain and its key, in PEM, as the authority and we made them: not looked at.
pub(crate) async fn order(obtainer: &Obtainer) -> Result<String, Failure> {
    let speaking = Speaking { obtainer, asking: Asking::default() };
    let mut order = new_order(obtainer, &speaking).await?;
    let shown = show_proofs(obtainer, &speaking, &mut order).await?;
    let policy = RetryPolicy::new().initial_delay(POLL_FIRST).backoff(POLL_GROWTH).timeout(POLL_TIMEOUT);
    if order.state().status == OrderStatus::Pending {
        match order.poll_ready(&policy).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(unproven(obtainer, &speaking, &mut order, None).await),
            Err(Error::Api(problem)) => {
                return Err(unproven(obtainer, &speaking, &mut order, Some(problem)).await);
            }
            Err(error) => return Err(speaking.failure(&error)),
        }
    }
    drop(shown);
    // A key of its own for each certificate (SSL Labs guide 1.6, 1.2).
    let request = pc_tls::signing_request(obtainer.settings.names())
        .map_err(|error| Failure::new(FailureKind::Folder, &error.to_string()))?;
    order.finalize_csr(&request.der).await.map_err(|error| speaking.failure(&error))?;
    let chain = order.poll_certificate(&policy).await.map_err(|error| speaking.failure(&error))?;
    // The key first: whatever stands in the authority's text, the first key of the file is ours.
    Ok(format!("{}\n{chain}", request.key_pem))
}

async fn new_order(obtainer: &Obtainer, speaking: &Speaking<'_>) -> Result<Order, Failure> {
    let names: Vec<Identifier> =
        obtainer.settings.names().iter().map(|name| Identifier::Dns(name.as_str().to_owned())).collect();
    let order = NewOrder::new(&names);
    let failure = match by_account(obtainer, speaking, Anew::No, &order).await {
        Ok(order) => return Ok(order),
        Err(Refused::Library(Error::Api(problem)))
            if is_lost(&problem, account::is_replacement(obtainer)) =>
        {
            match by_account(obtainer, speaking, Anew::Yes, &order).await {
                Ok(order) => return Ok(order),
                Err(refused) => refused,
            }
        }
        Err(refused) => refused,
    };
    Err(match &failure {
        Refused::Library(Error::Api(problem)) if word(problem) == Some("unauthorized") => {
            let text = format!("the authority lets this account order nothing: {problem}");
            let remedy = "to have another one made, remove acme/account.json in the data folder";
            Failure::new(FailureKind::Account, &format!("{text}; {remedy}"))
                .with_retry_after(speaking.asking.to_wait())
        }
        other => other.failure(speaking),
    })
}

async fn by_account(
    obtainer: &Obtainer,
    speaking: &Speaking<'_>,
    anew: Anew,
    order: &NewOrder<'_>,
) -> Result<Order, Refused> {
    let order = account::account(obtainer, speaking, anew).await?.new_order(order).await?;
    account::proven(obtainer)?;
    Ok(order)
}

/// The authority has forgotten the account of the file, or it was deactivated there (RFC 8555 7.3.6). Orders are refused in the
/// same words for other reasons, so that an account in the place of another gets no third one in its own.
fn is_lost(problem: &Problem, is_replacement: bool) -> bool {
    match word(problem) {
        Some("accountDoesNotExist") => true,
        Some("unauthorized") => !is_replacement,
        _ => false,
    }
}

/// RFC 8555 6.7.
fn word(problem: &Problem) -> Option<&str> {
    problem.r#type.as_deref()?.strip_prefix("urn:ietf:params:acme:error:")
}

/// Shows the proof of each name that is not proven yet, and tells the authority to look.
async fn show_proofs(
    obtainer: &Obtainer,
    speaking: &Speaking<'_>,
    order: &mut Order,
) -> Result<Vec<Shown>, Failure> {
    let kind = match obtainer.settings.challenge {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    };
    check_number(order.state().authorizations.len(), obtainer.settings.names().len())?;
    let mut shown = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(|error| speaking.failure(&error))?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => {
                let text = format!("an authorization of a fresh order is {other:?}");
                return Err(Failure::new(FailureKind::Server, &text));
            }
        }
        let name = name_of(obtainer, &authorization.identifier().to_string())?;
        let Some(mut challenge) = authorization.challenge(kind.clone()) else {
            let text = format!(
                "the authority does not offer {} for {name}; choose the other one as challenge in [tls.acme]",
                obtainer.settings.challenge.as_str()
            );
            return Err(Failure::new(FailureKind::Refused, &text));
        };
        let key = challenge.key_authorization();
        let proof = match obtainer.settings.challenge {
            Challenge::Http01 => obtainer.proofs.show_http(&name, &challenge.token, key.as_str()),
            Challenge::TlsAlpn01 => {
                let digest = <[u8; 32]>::try_from(key.digest().as_ref()).ok();
                let published = digest.map(|digest| obtainer.proofs.challenges.publish(&name, &digest));
                let published = published
                    .transpose()
                    .map_err(|error| Failure::new(FailureKind::Folder, &error.to_string()))?;
                published.map(|published| obtainer.proofs.show_tls(published))
            }
        };
        let Some(proof) = proof else {
            return Err(Failure::new(FailureKind::Server, "the authority gave a token that is none"));
        };
        shown.push(proof);
        challenge.set_ready().await.map_err(|error| speaking.failure(&error))?;
    }
    Ok(shown)
}

/// RFC 8555 7.1.3 lets an authority ask for fewer proofs than there are names. More would be requests without an end.
fn check_number(authorizations: usize, names: usize) -> Result<(), Failure> {
    if authorizations <= names {
        return Ok(());
    }
    let text = format!("the authority asks for {authorizations} proofs for {names} names");
    Err(Failure::new(FailureKind::Server, &text))
}

/// One of the names asked for: nothing is proven that was not asked for.
fn name_of(obtainer: &Obtainer, identifier: &str) -> Result<Domain, Failure> {
    let name = obtainer.settings.names().iter().find(|name| name.as_str() == identifier);
    name.cloned().ok_or_else(|| {
        let text = format!("the authority asks for the proof of {identifier}, which was not asked for");
        Failure::new(FailureKind::Server, &text)
    })
}

/// Which name was not proven, and what the authority saw.
async fn unproven(
    obtainer: &Obtainer,
    speaking: &Speaking<'_>,
    order: &mut Order,
    problem: Option<Problem>,
) -> Failure {
    // The authority may have changed the list since it was counted.
    let mut authorizations = order.authorizations();
    for _ in obtainer.settings.names() {
        let Some(Ok(mut authorization)) = authorizations.next().await else { break };
        let Ok(state) = authorization.refresh().await else { break };
        let fault = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(fault) = fault {
            let (name, said) = (state.identifier().to_string(), fault.to_string());
            let failure = Failure::of_challenge(obtainer.settings.challenge, &name, &said);
            return failure.with_retry_after(speaking.asking.to_wait());
        }
    }
    match problem {
        Some(problem) => speaking.failure(&Error::Api(problem)),
        None => Failure::new(FailureKind::Refused, "the authority gave the order up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_proofs_than_names_are_refused() {
        assert_eq!(check_number(2, 2), Ok(()));
        assert_eq!(check_number(1, 2), Ok(()));
        let refused = check_number(3, 2).unwrap_err();
        assert!(refused.text.contains("asks for 3 proofs for 2 names"), "{refused:?}");
    }

    #[test]
    fn an_account_is_lost_when_the_authority_says_so_and_a_replacement_gets_no_replacement() {
        let problem = |word: &str| -> Problem {
            let text = format!("{{\"type\":\"urn:ietf:params:acme:error:{word}\",\"status\":401}}");
            serde_json::from_str(&text).unwrap()
        };
        for (word, is_replacement, want) in [
            ("accountDoesNotExist", false, true),
            ("accountDoesNotExist", true, true),
            ("unauthorized", false, true),
            ("unauthorized", true, false),
            ("rateLimited", false, false),
        ] {
            assert_eq!(is_lost(&problem(word), is_replacement), want, "{word} {is_replacement}");
        }
    }
}
