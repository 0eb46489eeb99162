use crate::path::{ForwardPath, ReversePath};

/// What MAIL and RCPT said: who sends, who receives, under which parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// From MAIL.
    pub reverse_path: ReversePath,
    /// From MAIL.
    pub parameters: MailParameters,
    /// The recipients that were answered 2xx.
    pub recipients: Vec<Recipient>,
}

/// The parameters of MAIL that are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// RFC 1870: the declared size in octets.
    pub size_octets: Option<u64>,
    /// RFC 6152.
    pub body: Option<BodyType>,
    /// RFC 6531: SMTPUTF8 was given.
    pub smtputf8: bool,
    /// RFC 8689 2: REQUIRETLS was given.
    pub requiretls: bool,
    /// RFC 3461 4.3.
    pub ret: Option<Ret>,
    /// RFC 3461 4.4: xtext as it was written.
    pub envid: Option<String>,
}

/// RFC 6152.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    /// `BODY=7BIT`
    SevenBit,
    /// `BODY=8BITMIME`
    EightBitMime,
}

/// What a delivery report returns, RFC 3461 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// One recipient with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// From RCPT.
    pub forward_path: ForwardPath,
    /// RFC 3461 4.1.
    pub notify: Option<Notify>,
    /// RFC 3461 4.2: `type;xtext` as it was written.
    pub orcpt: Option<String>,
}

/// When to send a delivery report, RFC 3461 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Never.
    Never,
    /// At any of the chosen moments.
    On {
        /// DELAY
        delay: bool,
        /// FAILURE
        failure: bool,
        /// SUCCESS
        success: bool,
    },
}

impl MailParameters {
    /// The parameters as they are written behind `MAIL FROM:<…>` towards a server that offers all
    /// of the extensions named in `offered`.
    pub fn render(&self, offered: &crate::client::Capabilities) -> String {
        let mut text = String::new();
        if let (Some(size), true) = (self.size_octets, offered.size) {
            text.push_str(&format!(" SIZE={size}"));
        }
        match self.body {
            Some(BodyType::EightBitMime) if offered.eight_bit_mime => text.push_str(" BODY=8BITMIME"),
            Some(BodyType::SevenBit) if offered.eight_bit_mime => text.push_str(" BODY=7BIT"),
            _ => {}
        }
        if self.smtputf8 && offered.smtputf8 {
            text.push_str(" SMTPUTF8");
        }
        if self.requiretls && offered.requiretls {
            text.push_str(" REQUIRETLS");
        }
        if offered.dsn {
            match self.ret {
                Some(Ret::Full) => text.push_str(" RET=FULL"),
                Some(Ret::Headers) => text.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(envid) = &self.envid {
                text.push_str(" ENVID=");
                text.push_str(envid);
            }
        }
        text
    }
}

impl Recipient {
    /// The parameters as they are written behind `RCPT TO:<…>`.
    pub fn render_parameters(&self, offered: &crate::client::Capabilities) -> String {
        let mut text = String::new();
        if !offered.dsn {
            return text;
        }
        match self.notify {
            Some(Notify::Never) => text.push_str(" NOTIFY=NEVER"),
            Some(Notify::On { delay, failure, success }) => {
                let chosen = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let words: Vec<&str> =
                    chosen.into_iter().filter_map(|(on, word)| on.then_some(word)).collect();
                text.push_str(" NOTIFY=");
                text.push_str(&words.join(","));
            }
            None => {}
        }
        if let Some(orcpt) = &self.orcpt {
            text.push_str(" ORCPT=");
            text.push_str(orcpt);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::client::Capabilities;
    use crate::command::Command;

    fn lines(offered: Capabilities) -> (String, String) {
        let mail = b"MAIL FROM:<a@example.net> SIZE=9 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+2Bb";
        let rcpt = b"RCPT TO:<b@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@example.org";
        let Ok(Command::Mail(_, parameters)) = Command::parse(mail) else { panic!() };
        let Ok(Command::Rcpt(recipient)) = Command::parse(rcpt) else { panic!() };
        (parameters.render(&offered), recipient.render_parameters(&offered))
    }

    #[test]
    fn parameters_are_passed_on_as_they_came_where_the_server_behind_offers_them() {
        let all = Capabilities {
            chunking: true,
            dsn: true,
            eight_bit_mime: true,
            pipelining: true,
            requiretls: true,
            size: true,
            smtputf8: true,
            starttls: true,
        };
        let (mail, rcpt) = lines(all);
        assert_eq!(mail, " SIZE=9 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+2Bb");
        assert_eq!(rcpt, " NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@example.org");
        assert_eq!(lines(Capabilities::default()), (String::new(), String::new()));
    }
}
