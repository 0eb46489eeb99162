//! Signing in and out, the cookie, and what every form of the pages goes through.

use std::collections::HashMap;

use axum::RequestExt;
use axum::extract::{Form, FromRequest, FromRequestParts, Query, Request};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::access::Permit;
use crate::api::{Context, Problem};
use crate::login::SignInError;
use crate::page::{page, problem_page};
use crate::trace::percent_encoded;

/// Without `Secure`, since the listener speaks plain HTTP on loopback.
const COOKIE_NAME: &str = "portcullis_session";

/// What stood in a form.
pub(crate) type Filled = HashMap<String, String>;

/// A field of a form without blanks around it; empty when it is not there.
pub(crate) fn field<'a>(filled: &'a Filled, name: &str) -> &'a str {
    filled.get(name).map(|text| text.trim()).unwrap_or_default()
}

/// A form that came back, and why.
#[derive(Default)]
pub(crate) struct Draft {
    /// What stood in it.
    pub(crate) filled: Filled,
    /// Why it was not taken.
    pub(crate) problem: Option<Problem>,
}

impl Draft {
    /// The status of the page that shows it.
    pub(crate) fn status(&self) -> StatusCode {
        self.problem.as_ref().map_or(StatusCode::OK, Problem::status)
    }

    /// Why it was not taken, for people and screen readers.
    pub(crate) fn alert(&self) -> Markup {
        html! { @if let Some(problem) = &self.problem { p.alert role="alert" { strong { "Not done. " } (problem.message()) } } }
    }
}

/// A form sent by somebody who is signed in.
pub(crate) struct SignedForm {
    pub(crate) context: Context,
    pub(crate) permit: Permit,
    pub(crate) filled: Filled,
}

impl FromRequest<Context> for SignedForm {
    type Rejection = Response;

    async fn from_request(request: Request, state: &Context) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(context) = Context::from_request_parts(&mut parts, state).await;
        if let Some(problem) = foreign(&parts.headers) {
            return Err(problem_page(&context, &problem));
        }
        let Some(visitor) = context.visitor.clone() else {
            return Err(redirect("/login"));
        };
        let filled = Request::from_parts(parts, body).extract::<Form<Filled>, _>().await;
        let Form(filled) = filled.map_err(|error| {
            let problem = Problem::new(error.status(), "bad_form", error.body_text());
            problem_page(&context, &problem)
        })?;
        let Some(permit) = visitor.permit(filled.get("token").map(String::as_str)) else {
            let text = "The form is not of this session; open the page anew and send it again.";
            return Err(problem_page(&context, &Problem::new(StatusCode::FORBIDDEN, "form_token", text)));
        };
        Ok(Self { context, permit, filled })
    }
}

/// Browsers say where a form comes from (W3C Fetch Metadata); the token is what decides.
fn foreign(headers: &HeaderMap) -> Option<Problem> {
    let site = headers.get("sec-fetch-site")?;
    let is_ours = matches!(site.as_bytes(), b"same-origin" | b"none");
    let text = "The form comes from another site.";
    (!is_ours).then(|| Problem::new(StatusCode::FORBIDDEN, "foreign_form", text))
}

/// The field that every form carries.
pub(crate) fn token_field(context: &Context) -> Markup {
    html! { @if let Some(visitor) = &context.visitor { input type="hidden" name="token" value=(visitor.form_token); } }
}

/// The value of our cookie.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, token)| token)
}

/// Another page is the answer.
pub(crate) fn redirect(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("/"))]).into_response(),
    }
}

/// The login that leads to `path` afterwards.
pub(crate) fn path_to(path: &str) -> String {
    format!("/login?next={}", percent_encoded(path))
}

/// A page of ours: never another host, also not by the ways in which browsers mend a path.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\')
}

pub(crate) async fn show(context: Context, Query(query): Query<Filled>) -> Response {
    if !context.admin.logins.are_asked_for() {
        return no_accounts(&context);
    }
    form(&context, field(&query, "next"), &Draft::default())
}

pub(crate) async fn sign_in(context: Context, headers: HeaderMap, Form(filled): Form<Filled>) -> Response {
    if !context.admin.logins.are_asked_for() {
        return no_accounts(&context);
    }
    if let Some(problem) = foreign(&headers) {
        return problem_page(&context, &problem);
    }
    let admin = &context.admin;
    let password = filled.get("password").map(String::as_str).unwrap_or_default();
    let name = field(&filled, "name").to_owned();
    match admin.logins.sign_in(&name, password, admin.clock.now()).await {
        Ok(token) => {
            crate::api::audit(&context, &Permit::of(&name), "sign_in", "pages", "").await;
            let next = field(&filled, "next");
            let mut response = redirect(if is_own_path(next) { next } else { "/" });
            set_cookie(&mut response, &format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict"));
            response
        }
        Err(error) => {
            let status = match error {
                SignInError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
                SignInError::Wrong => StatusCode::UNAUTHORIZED,
            };
            let next = field(&filled, "next").to_owned();
            let problem = Some(Problem::new(status, "sign_in", error.to_string()));
            form(&context, &next, &Draft { filled, problem })
        }
    }
}

pub(crate) async fn sign_out(headers: HeaderMap, form: SignedForm) -> Response {
    if let Some(token) = session_token(&headers) {
        form.context.admin.logins.sign_out(token);
    }
    let mut response = redirect("/login");
    set_cookie(&mut response, &format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"));
    response
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn form(context: &Context, next: &str, draft: &Draft) -> Response {
    let content = html! {
        h1 { "Sign in" }
        (draft.alert())
        form.narrow method="post" action="/login" {
            @if is_own_path(next) { input type="hidden" name="next" value=(next); }
            label { "Name" input name="name" autocomplete="username" required autofocus value=(field(&draft.filled, "name")); }
            label { "Password" input name="password" type="password" autocomplete="current-password" required; }
            button { "Sign in" }
        }
        p { small { "Accounts stand in the configuration as [[admin.user]]; " code { "portcullis admin hash-password" } " makes the password's line. The command line on this machine needs no account." } }
    };
    (draft.status(), page(context, "Sign in", content)).into_response()
}

fn no_accounts(context: &Context) -> Response {
    let text = "No account is configured, so the pages show everything and change nothing. `portcullis admin \
                hash-password` makes the line for [[admin.user]] in the configuration; or use the command line.";
    problem_page(context, &Problem::new(StatusCode::NOT_FOUND, "no_accounts", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_only_an_own_page_follows() {
        for path in ["/", "/servers/abc?x=1", "/trace?from=a%40b"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "servers",
            "//evil.example.com",
            "/\\evil.example.com",
            "https://evil.example.com",
            "/a\r\nb",
            "/\tb",
        ] {
            assert!(!is_own_path(path), "{path}");
        }
        assert_eq!(path_to("/trace?from=a%40b"), "/login?next=%2Ftrace%3Ffrom%3Da%2540b");
    }

    #[test]
    fn the_cookie_is_found_among_others_and_by_its_whole_name_only() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; xportcullis_session=1"));
        assert_eq!(session_token(&headers), None);
        headers.append(COOKIE, HeaderValue::from_static("c=d; portcullis_session=abc"));
        assert_eq!(session_token(&headers), Some("abc"));
    }
}
