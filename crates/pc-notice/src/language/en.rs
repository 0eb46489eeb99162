use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::DigestIntro => "There is news of {count} mail servers that send to {node}:",
        Key::DigestMore => "... and {count} more.",
        Key::DigestSubject => "{node}: news of {count} mail servers",
        Key::EvidenceBuild => "Build: {build} ({product})",
        Key::EvidenceLine => "Header line of its mail of {date}:",
        Key::EvidenceServer => "Server: {server} [{address}], known here as {id}",
        Key::ExemptUntil => {
            "The operator of {node} has exempted this server until {date}; until then none of its mail is held back."
        }
        Key::FloorIntro => {
            "The mail server {server} sends mail to {node}, and meets what is asked of it today. From {date} on more is \
             asked, and this server will fall short of it unless it is updated before."
        }
        Key::FloorSubject => "{server}: a newer update is required from {date} on",
        Key::HeadEvidence => "What we saw",
        Key::HeadInstall => "What to install",
        Key::HeadLack => "What is missing",
        Key::HeadNext => "What comes next",
        Key::HeadNextReport => "What would come next",
        Key::HeadPause => "How to ask for a pause",
        Key::HeadStage => "Where it stands",
        Key::HeadTest => "How to test",
        Key::HeadWhy => "Why you get this mail",
        Key::LackExploited => "A vulnerability is open that is known to be exploited.",
        Key::LackFloor => "The build is older than the oldest one that is accepted.",
        Key::LackSecurity => "A security update is missing.",
        Key::LackSupport => "This version is out of support and gets no security updates any more.",
        Key::LackUpdate => "An update is missing.",
        Key::LackVersion => "What is asked: floor {floor}, version {version}.",
        Key::LackVersionSince => "What is asked: floor {floor}, version {version}, in force since {date}.",
        Key::OwingIntro => {
            "The mail server {server} sends mail to {node}. What it writes into its own mail shows that it is out of date."
        }
        Key::OwingSubject => "{server}: this mail server is out of date",
        Key::PauseHow => {
            "If the update needs more time, write to {contact} and name the server {id}: the operator of {node} can exempt \
             it for a while."
        }
        Key::PauseHowTenant => {
            "If the update needs more time, write to {contact} and name the server {id}. Your organisation can have up to 90 \
             days of pause in a calendar year, in one or more pieces; the days already served stay as they are."
        }
        Key::PausedOpen => {
            "A pause is in force until further notice: no mail is held back and no day counts."
        }
        Key::PausedUntil => "A pause is in force until {date}: no mail is held back and no day counts.",
        Key::ReleasedIntro => {
            "The mail server {server} showed at {date} that it meets what {node} asks. None of its mail is held back."
        }
        Key::ReleasedSubject => "{server}: up to date",
        Key::ReleasedThanks => {
            "There is nothing more to do. Should the server fall behind again, it goes on from where it was left."
        }
        Key::ReportOnly => {
            "Nothing is held back yet: {node} only watches. What follows is what would happen if it acted."
        }
        Key::StageAheadIntro => {
            "The mail server {server} is still out of date. On {date} the next stage begins for its mail to {node}: {windows}."
        }
        Key::StageAheadSubject => "{server}: stage {stage} begins on {date}",
        Key::StageBegunIntro => {
            "The mail server {server} is still out of date. Stage {stage} has begun for its mail to {node}: {windows}."
        }
        Key::StageBegunSubject => "{server}: stage {stage} has begun",
        Key::StageNext => "{date}: stage {stage}, {windows}",
        Key::StageNow => "Stage {stage} of {stages}, since {date}: {windows}.",
        Key::TestHow => {
            "Send any mail from this server to {node} after the update. Each mail is read anew, and the first one that shows \
             the update ends all this at once."
        }
        Key::TestJudge => "What a build is held to be: portcullis judge {build}",
        Key::WhyConnector => {
            "You are named at {node} as the contact for servers of the connector {connector}, under whose rules this server is."
        }
        Key::WhyOperator => "You are named as an operator of {node}.",
        Key::WhyPostmaster => {
            "You are the postmaster of {domain}: the server greets with a name of this domain, and that name leads to its \
             address."
        }
        Key::WhyTenant => "You are named at {node} as a contact of {tenant}, whose server this is.",
        Key::WindowAll => "all mail is refused",
        Key::WindowBlock => "mail is refused for {block} minutes of each hour",
        Key::WindowBoth => {
            "mail is deferred for {throttle} minutes and refused for {block} minutes of each hour"
        }
        Key::WindowNone => "no mail is held back",
        Key::WindowThrottle => "mail is deferred for {throttle} minutes of each hour",
    }
}
