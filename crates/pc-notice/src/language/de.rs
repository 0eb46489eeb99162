use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::DigestIntro => "Es gibt Neues von {count} Mailservern, die an {node} senden:",
        Key::DigestMore => "... und {count} weitere.",
        Key::DigestSubject => "{node}: Neues von {count} Mailservern",
        Key::EvidenceBuild => "Build: {build} ({product})",
        Key::EvidenceLine => "Kopfzeile seiner Mail vom {date}:",
        Key::EvidenceServer => "Server: {server} [{address}], hier bekannt als {id}",
        Key::ExemptUntil => {
            "Der Betreiber von {node} hat diesen Server bis {date} ausgenommen; bis dahin wird keine seiner Mails \
             zurückgehalten."
        }
        Key::FloorIntro => {
            "Der Mailserver {server} sendet Mail an {node} und erfüllt, was heute verlangt wird. Ab {date} wird \
             mehr verlangt; diesem Server wird es ohne Update nicht genügen."
        }
        Key::FloorSubject => "{server}: ab {date} ist ein neueres Update erforderlich",
        Key::HeadEvidence => "Was wir gesehen haben",
        Key::HeadInstall => "Was zu installieren ist",
        Key::HeadLack => "Was fehlt",
        Key::HeadNext => "Was als Nächstes kommt",
        Key::HeadNextReport => "Was als Nächstes käme",
        Key::HeadPause => "Wie Sie um eine Pause bitten",
        Key::HeadStage => "Wo der Server steht",
        Key::HeadTest => "Wie Sie prüfen",
        Key::HeadWhy => "Warum Sie diese Mail erhalten",
        Key::LackExploited => "Eine Schwachstelle ist offen, von der bekannt ist, dass sie ausgenutzt wird.",
        Key::LackFloor => "Der Build ist älter als der älteste, der angenommen wird.",
        Key::LackSecurity => "Ein Sicherheitsupdate fehlt.",
        Key::LackSupport => {
            "Diese Version wird nicht mehr unterstützt und erhält keine Sicherheitsupdates mehr."
        }
        Key::LackUpdate => "Ein Update fehlt.",
        Key::LackVersion => "Was verlangt wird: Mindeststand {floor}, Version {version}.",
        Key::LackVersionSince => {
            "Was verlangt wird: Mindeststand {floor}, Version {version}, gültig seit {date}."
        }
        Key::OwingIntro => {
            "Der Mailserver {server} sendet Mail an {node}. Was er selbst in seine Mails schreibt, zeigt, dass er \
             veraltet ist."
        }
        Key::OwingSubject => "{server}: dieser Mailserver ist veraltet",
        Key::PauseHow => {
            "Braucht das Update mehr Zeit, schreiben Sie an {contact} und nennen Sie den Server {id}: Der \
             Betreiber von {node} kann ihn für eine Weile ausnehmen."
        }
        Key::PauseHowTenant => {
            "Braucht das Update mehr Zeit, schreiben Sie an {contact} und nennen Sie den Server {id}. Ihrer \
             Organisation stehen bis zu 90 Pausentage im Kalenderjahr zu, am Stück oder in Teilen; die bereits \
             verstrichenen Tage bleiben, wie sie sind."
        }
        Key::PausedOpen => {
            "Bis auf Weiteres gilt eine Pause: Keine Mail wird zurückgehalten, und kein Tag zählt."
        }
        Key::PausedUntil => "Bis {date} gilt eine Pause: Keine Mail wird zurückgehalten, und kein Tag zählt.",
        Key::ReleasedIntro => {
            "Der Mailserver {server} hat am {date} gezeigt, dass er erfüllt, was {node} verlangt. Keine seiner \
             Mails wird zurückgehalten."
        }
        Key::ReleasedSubject => "{server}: auf aktuellem Stand",
        Key::ReleasedThanks => {
            "Es ist nichts weiter zu tun. Gerät der Server wieder in Rückstand, geht es dort weiter, wo es \
             aufgehört hat."
        }
        Key::ReportOnly => {
            "Noch wird nichts zurückgehalten: {node} beobachtet nur. Das Folgende würde geschehen, wenn es \
             eingriffe."
        }
        Key::StageAheadIntro => {
            "Der Mailserver {server} ist noch immer veraltet. Am {date} beginnt für seine Mail an {node} die \
             nächste Stufe: {windows}."
        }
        Key::StageAheadSubject => "{server}: Stufe {stage} beginnt am {date}",
        Key::StageBegunIntro => {
            "Der Mailserver {server} ist noch immer veraltet. Für seine Mail an {node} hat Stufe {stage} \
             begonnen: {windows}."
        }
        Key::StageBegunSubject => "{server}: Stufe {stage} hat begonnen",
        Key::StageNext => "{date}: Stufe {stage}, {windows}",
        Key::StageNow => "Stufe {stage} von {stages}, seit {date}: {windows}.",
        Key::TestHow => {
            "Senden Sie nach dem Update eine beliebige Mail von diesem Server an {node}. Jede Mail wird neu \
             gelesen, und die erste, die das Update zeigt, beendet alles sofort."
        }
        Key::TestJudge => "Wofür ein Build gehalten wird: portcullis judge {build}",
        Key::WhyConnector => {
            "Sie sind bei {node} als Kontakt für Server des Connectors {connector} genannt, unter dessen Regeln dieser Server steht."
        }
        Key::WhyOperator => "Sie sind als Betreiber von {node} genannt.",
        Key::WhyPostmaster => {
            "Sie sind der Postmaster von {domain}: Der Server meldet sich mit einem Namen dieser Domain, und \
             dieser Name führt zu seiner Adresse."
        }
        Key::WhyTenant => {
            "Sie sind bei {node} als Kontakt von {tenant} genannt; der Server gehört dieser Organisation."
        }
        Key::WindowAll => "alle Mail wird abgewiesen",
        Key::WindowBlock => "Mail wird in {block} Minuten jeder Stunde abgewiesen",
        Key::WindowBoth => {
            "Mail wird in {throttle} Minuten jeder Stunde verzögert und in {block} Minuten abgewiesen"
        }
        Key::WindowNone => "keine Mail wird zurückgehalten",
        Key::WindowThrottle => "Mail wird in {throttle} Minuten jeder Stunde verzögert",
    }
}
