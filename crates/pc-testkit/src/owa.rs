//! OWA as a browser meets it: sign-in by a form, one page with script, its service, notifications, attachments.

use std::collections::HashMap;

use crate::exchange_pages::LEAKS;

/// What one request of OWA is answered with.
pub(crate) enum OwaAnswer {
    /// Status, fields, body.
    Whole(u16, String, Vec<u8>),
    /// Chunks of the feed.
    Streamed,
}

/// Who is signed in, and what was attached.
#[derive(Debug)]
pub(crate) struct Owa {
    user: String,
    password: String,
    /// By the value of `cadata`.
    sessions: HashMap<String, String>,
    attachments: Vec<Vec<u8>>,
}

/// A request of OWA.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) cookies: &'a str,
    /// X-OWA-CANARY.
    pub(crate) canary: &'a str,
    pub(crate) body: Vec<u8>,
}

/// The name by which Exchange knows itself.
const INNER: &str = "https://ex01.corp.example.org";
const PAGE: &str = "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-cache, no-store\r\n";
const JSON: &str = "Content-Type: application/json; charset=utf-8\r\n";
/// What a script has to say beside its cookie. A real one has such characters.
const CANARY: &str = "kxL9-3Zw_0aQ.~x+=";

impl Owa {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            sessions: HashMap::new(),
            attachments: Vec::new(),
        }
    }

    /// Answers a request below `/owa/`.
    pub(crate) fn answer(&mut self, asked: Asked<'_>) -> OwaAnswer {
        let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
        match (asked.method, path.to_ascii_lowercase().as_str()) {
            ("GET", "/owa/auth/logon.aspx") => whole(200, PAGE, sign_in(query)),
            ("GET", "/owa/auth/15.2.2562/themes/logon.css") => {
                whole(200, "Content-Type: text/css\r\n", "body { background: #f2f2f2 }")
            }
            ("POST", "/owa/auth.owa") => self.sign_in(&String::from_utf8_lossy(&asked.body)),
            ("GET", "/owa/logoff.owa") => {
                self.sessions.remove(cookie(asked.cookies, "cadata"));
                let gone = ["cadata", "cadataTTL", "cadataKey", "cadataIV", "cadataSig"];
                let gone = gone.map(|name| {
                    format!("Set-Cookie: {name}=; expires=Thu, 01-Jan-1970 00:00:00 GMT; path=/; secure; HttpOnly\r\n")
                });
                redirect("/owa/auth/logon.aspx?replaceCurrent=1&reason=1", &gone.concat())
            }
            _ => match self.sessions.get(cookie(asked.cookies, "cadata")).cloned() {
                None if asked.method == "GET" && path == "/owa/" => {
                    redirect("/owa/auth/logon.aspx?url=https%3a%2f%2fmail.example.org%2fowa%2f&reason=0", "")
                }
                // What scripts hear whose session has ended.
                None => whole(440, "", ""),
                Some(user) => self.signed_in(&user, &path.to_ascii_lowercase(), query, asked),
            },
        }
    }

    fn sign_in(&mut self, form: &str) -> OwaAnswer {
        let value = |name: &str| {
            let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.replace("%5C", "\\").replace('+', " "))
        };
        if value("username") != Some(self.user.clone()) || value("password") != Some(self.password.clone()) {
            return redirect("/owa/auth/logon.aspx?replaceCurrent=1&reason=2", "");
        }
        let session = format!("k{}+/w==", self.sessions.len());
        let cookies = format!(
            "Set-Cookie: cadata={session}; path=/; HttpOnly\r\nSet-Cookie: cadataTTL=AaBb/+==; path=/; HttpOnly\r\n\
             Set-Cookie: cadataKey=a%2Bb; path=/; secure; HttpOnly\r\nSet-Cookie: cadataIV=cc==; path=/; HttpOnly\r\n\
             Set-Cookie: cadataSig=dd==; path=/; HttpOnly; SameSite=Strict\r\n"
        );
        self.sessions.insert(session, self.user.clone());
        redirect("/owa/", &cookies)
    }

    fn signed_in(&mut self, user: &str, path: &str, query: &str, asked: Asked<'_>) -> OwaAnswer {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if path == "/owa/" {
            let fields = format!(
                "{PAGE}Set-Cookie: X-OWA-CANARY={CANARY}; path=/\r\nSet-Cookie: UC=abc; path=/\r\n\
                 Set-Cookie: DefaultAnchorMailbox={user}; path=/; secure; HttpOnly\r\n"
            );
            return whole(200, &fields, include_str!("owa_mailbox.html").replace("{user}", user));
        }
        // A request of another site has the cookie and not the field.
        let said = [asked.canary, value("X-OWA-CANARY").unwrap_or_default()];
        if cookie(asked.cookies, "X-OWA-CANARY") != CANARY || !said.contains(&CANARY) {
            return whole(449, "", "");
        }
        match (path, value("action")) {
            ("/owa/service.svc", Some("FindItem")) => {
                whole(200, JSON, r#"{"Body":{"Items":[{"Subject":"One"},{"Subject":"Two"}]}}"#)
            }
            ("/owa/service.svc", Some("CreateAttachmentFromLocalFile")) => {
                self.attachments.push(asked.body);
                whole(200, JSON, format!("{{\"id\":{}}}", self.attachments.len() - 1))
            }
            ("/owa/service.svc/s/getfileattachment", _) => {
                let number = value("id").and_then(|id| id.parse::<usize>().ok());
                match number.and_then(|number| self.attachments.get(number)) {
                    Some(octets) => whole(
                        200,
                        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"a.bin\"\r\n",
                        octets.clone(),
                    ),
                    None => whole(404, "", ""),
                }
            }
            ("/owa/ev.owa2", _) if value("ev") == Some("PendingNotificationRequest") => OwaAnswer::Streamed,
            _ => whole(404, "", ""),
        }
    }
}

fn whole(status: u16, fields: &str, body: impl Into<Vec<u8>>) -> OwaAnswer {
    OwaAnswer::Whole(status, format!("{}{fields}", LEAKS.concat()), body.into())
}

fn redirect(target: &str, fields: &str) -> OwaAnswer {
    whole(302, &format!("Location: {INNER}{target}\r\n{fields}"), "")
}

fn cookie<'a>(cookies: &'a str, name: &str) -> &'a str {
    let mut pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

fn sign_in(query: &str) -> String {
    let word = match query.split("reason=").nth(1) {
        Some("1") => "You are signed out.",
        Some("2") => "Name or password is wrong.",
        _ => "",
    };
    include_str!("owa_sign_in.html").replace("{word}", word)
}
