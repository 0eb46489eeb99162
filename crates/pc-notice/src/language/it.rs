use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::DigestIntro => "Ci sono novità su {count} server di posta che inviano a {node}:",
        Key::DigestMore => "... e altri {count}.",
        Key::DigestSubject => "{node}: novità su {count} server di posta",
        Key::EvidenceBuild => "Build: {build} ({product})",
        Key::EvidenceLine => "Riga di intestazione del suo messaggio del {date}:",
        Key::EvidenceServer => "Server: {server} [{address}], qui noto come {id}",
        Key::ExemptUntil => {
            "Il gestore di {node} ha esentato questo server fino al {date}; fino ad allora nessuno dei suoi \
             messaggi viene trattenuto."
        }
        Key::FloorIntro => {
            "Il server di posta {server} invia messaggi a {node} e soddisfa quanto è richiesto oggi. Dal {date} \
             sarà richiesto di più, e questo server non lo soddisferà se non viene aggiornato prima."
        }
        Key::FloorSubject => "{server}: dal {date} è richiesto un aggiornamento più recente",
        Key::HeadEvidence => "Che cosa abbiamo visto",
        Key::HeadInstall => "Che cosa installare",
        Key::HeadLack => "Che cosa manca",
        Key::HeadNext => "Che cosa viene dopo",
        Key::HeadNextReport => "Che cosa verrebbe dopo",
        Key::HeadPause => "Come chiedere una pausa",
        Key::HeadStage => "A che punto è",
        Key::HeadTest => "Come verificare",
        Key::HeadWhy => "Perché riceve questo messaggio",
        Key::LackExploited => "È aperta una vulnerabilità che risulta sfruttata.",
        Key::LackFloor => "La build è più vecchia della più vecchia accettata.",
        Key::LackSecurity => "Manca un aggiornamento di sicurezza.",
        Key::LackSupport => {
            "Questa versione non è più supportata e non riceve più aggiornamenti di sicurezza."
        }
        Key::LackUpdate => "Manca un aggiornamento.",
        Key::LackVersion => "Che cosa è richiesto: livello minimo {floor}, versione {version}.",
        Key::LackVersionSince => {
            "Che cosa è richiesto: livello minimo {floor}, versione {version}, in vigore dal {date}."
        }
        Key::OwingIntro => {
            "Il server di posta {server} invia messaggi a {node}. Ciò che scrive esso stesso nei suoi messaggi \
             mostra che non è aggiornato."
        }
        Key::OwingSubject => "{server}: questo server di posta non è aggiornato",
        Key::PauseHow => {
            "Se l'aggiornamento richiede più tempo, scriva a {contact} indicando il server {id}: il gestore di \
             {node} può esentarlo per un certo periodo."
        }
        Key::PauseHowTenant => {
            "Se l'aggiornamento richiede più tempo, scriva a {contact} indicando il server {id}. La sua \
             organizzazione dispone di un massimo di 90 giorni di pausa per anno solare, in una o più parti; i \
             giorni già trascorsi restano come sono."
        }
        Key::PausedOpen => {
            "È in vigore una pausa fino a nuovo avviso: nessun messaggio viene trattenuto e nessun giorno conta."
        }
        Key::PausedUntil => {
            "È in vigore una pausa fino al {date}: nessun messaggio viene trattenuto e nessun giorno conta."
        }
        Key::ReleasedIntro => {
            "Il server di posta {server} ha mostrato il {date} di soddisfare quanto {node} richiede. Nessuno dei \
             suoi messaggi viene trattenuto."
        }
        Key::ReleasedSubject => "{server}: aggiornato",
        Key::ReleasedThanks => {
            "Non c'è altro da fare. Se il server dovesse restare di nuovo indietro, si riprende da dove si era \
             rimasti."
        }
        Key::ReportOnly => {
            "Per ora nulla viene trattenuto: {node} si limita a osservare. Ciò che segue è quanto accadrebbe se \
             agisse."
        }
        Key::StageAheadIntro => {
            "Il server di posta {server} non è ancora aggiornato. Il {date} inizia la fase successiva per i suoi \
             messaggi a {node}: {windows}."
        }
        Key::StageAheadSubject => "{server}: la fase {stage} inizia il {date}",
        Key::StageBegunIntro => {
            "Il server di posta {server} non è ancora aggiornato. Per i suoi messaggi a {node} è iniziata la fase \
             {stage}: {windows}."
        }
        Key::StageBegunSubject => "{server}: è iniziata la fase {stage}",
        Key::StageNext => "{date}: fase {stage}, {windows}",
        Key::StageNow => "Fase {stage} di {stages}, dal {date}: {windows}.",
        Key::TestHow => {
            "Dopo l'aggiornamento invii un messaggio qualsiasi da questo server a {node}. Ogni messaggio viene \
             riletto, e il primo che mostra l'aggiornamento mette subito fine a tutto."
        }
        Key::TestJudge => "Come viene giudicata una build: portcullis judge {build}",
        Key::WhyConnector => {
            "Lei è indicato presso {node} come contatto per i server del connettore {connector}, le cui regole valgono per questo server."
        }
        Key::WhyOperator => "Lei è indicato come gestore di {node}.",
        Key::WhyPostmaster => {
            "Lei è il postmaster di {domain}: il server si presenta con un nome di questo dominio, e quel nome \
             porta al suo indirizzo."
        }
        Key::WhyTenant => {
            "Lei è indicato presso {node} come contatto di {tenant}, a cui appartiene questo server."
        }
        Key::WindowAll => "tutti i messaggi vengono rifiutati",
        Key::WindowBlock => "i messaggi vengono rifiutati per {block} minuti di ogni ora",
        Key::WindowBoth => {
            "i messaggi vengono rinviati per {throttle} minuti e rifiutati per {block} minuti di ogni ora"
        }
        Key::WindowNone => "nessun messaggio viene trattenuto",
        Key::WindowThrottle => "i messaggi vengono rinviati per {throttle} minuti di ogni ora",
    }
}
