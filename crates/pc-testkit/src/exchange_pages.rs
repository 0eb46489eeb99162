//! What the Exchange of the tests answers by path.

use std::time::Duration;

use crate::ntlm::Protection;

/// The answer to GetFolder for the root of the mailbox of `{user}`.
pub(crate) const FOLDER: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header><h:ServerVersionInfo
 xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types" MajorVersion="15" MinorVersion="2" MajorBuildNumber="2562"
 MinorBuildNumber="17" Version="V2017_07_11"/></s:Header><s:Body><m:GetFolderResponse
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><m:ResponseMessages><m:GetFolderResponseMessage
 ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Folders><t:Folder><t:FolderId Id="AAA=" ChangeKey="AQ=="/>
<t:DisplayName>Root of {user}</t:DisplayName><t:TotalCount>0</t:TotalCount><t:ChildFolderCount>0</t:ChildFolderCount>
<t:UnreadCount>0</t:UnreadCount></t:Folder></m:Folders></m:GetFolderResponseMessage></m:ResponseMessages></m:GetFolderResponse>
</s:Body></s:Envelope>"#;

/// The shortest heartbeat of ActiveSync.
pub(crate) const HOLD: Duration = Duration::from_secs(60);

/// One kind of answer.
pub(crate) enum Page {
    /// Ten octets of a hundred, and the end.
    BreakAfterHead,
    /// The end, without an answer.
    Drop,
    /// The request as it came, as text.
    Echo,
    /// 100, then 200 with the octets received.
    Expect,
    /// 401 at once, and no 100.
    ExpectRefused,
    /// No 100: waits for the body.
    ExpectSilent,
    /// 200 with these fields and this body.
    Fixed(&'static str, &'static [u8]),
    /// 200 after [`HOLD`].
    Held,
    /// 401 until real NTLM has ended, then [`FOLDER`].
    Folder,
    /// 200, and then the end of the connection without having said so.
    Last,
    /// 200 with all of [`LEAKS`].
    Leaky,
    /// 401 until an NTLM-like handshake ended, then 200 with the user's name.
    Login,
    /// 401 until real NTLM has ended, then 200 with the user's name.
    Ntlm(Protection),
    /// HTTP/1.0, its body to the end of the connection.
    Old,
    /// 302 with these fields.
    Redirect(&'static str),
    /// Chunks of the feed.
    Streamed,
    /// 401 with all offers of IIS.
    Unauthorised,
    /// 101 although nobody asked.
    Upgrade,
}

/// Fields by which Exchange tells of itself.
pub(crate) const LEAKS: &[&str] = &[
    "Server: Microsoft-IIS/10.0\r\n",
    "X-Powered-By: ASP.NET\r\n",
    "X-AspNet-Version: 4.0.30319\r\n",
    "X-OWA-Version: 15.2.2562.17\r\n",
    "X-FEServer: EX01\r\n",
    "X-BEServer: EX02\r\n",
    "X-DiagInfo: EX02\r\n",
    "X-CalculatedBETarget: ex02.corp.example.org\r\n",
    "X-BackEndHttpStatus: 200\r\n",
    "Via: 1.1 ex01.corp.example.org\r\n",
    "Alt-Svc: h3=\":443\"\r\n",
    "Keep-Alive: timeout=5\r\n",
    "X-ServerApplication: Exchange/15.02.2562.017\r\n",
    "Set-Cookie: X-BackEndCookie=S-1-5=u56Lnp2ejJqB; path=/; secure; HttpOnly\r\n",
    "Set-Cookie: ClientId=AB; path=/\r\n",
];

pub(crate) fn page(path: &str) -> Page {
    match path {
        "/owa/leaky" => Page::Leaky,
        "/owa/hsts" => Page::Fixed(
            "Strict-Transport-Security: max-age=1\r\nStrict-Transport-Security: max-age=2\r\n",
            b"",
        ),
        "/owa/" => Page::Fixed("Content-Type: text/html; charset=utf-8\r\n", b"<html>"),
        "/owa/default.aspx" => {
            let fields = "Content-Type: text/html\r\nContent-Security-Policy: default-src 'self'\r\n";
            Page::Fixed(fields, b"<html>")
        }
        "/owa/redirect" => Page::Redirect("Location: https://10.0.0.5/owa/auth/logon.aspx?a=b\r\n"),
        "/owa/elsewhere" => Page::Redirect(
            "Location: http://ex01.corp.example.org:444/owa/\r\nContent-Location: https://ex01/owa\r\n",
        ),
        "/owa/last" => Page::Last,
        "/owa/old" => Page::Old,
        "/owa/break" => Page::BreakAfterHead,
        "/owa/drop" => Page::Drop,
        "/owa/upgrade" => Page::Upgrade,
        "/ews/unauthorised" | "/microsoft-server-activesync/unauthorised" => Page::Unauthorised,
        "/ews/login" | "/microsoft-server-activesync/login" => Page::Login,
        "/ews/exchange.asmx" => Page::Folder,
        // Extended Protection as Exchange sets it: Allow on EWS, Require on OWA.
        "/ews/ntlm" => Page::Ntlm(Protection::Allow),
        "/owa/ntlm" => Page::Ntlm(Protection::Require),
        "/ews/expect" => Page::Expect,
        "/ews/expect-refused" => Page::ExpectRefused,
        "/ews/expect-silent" => Page::ExpectSilent,
        "/microsoft-server-activesync/held" => Page::Held,
        "/mapi/emsmdb" | "/microsoft-server-activesync" => Page::Streamed,
        _ => Page::Echo,
    }
}
