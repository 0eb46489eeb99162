use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::DigestIntro => "Voici des nouvelles de {count} serveurs de messagerie qui envoient à {node} :",
        Key::DigestMore => "... et {count} autres.",
        Key::DigestSubject => "{node} : nouvelles de {count} serveurs de messagerie",
        Key::EvidenceBuild => "Version : {build} ({product})",
        Key::EvidenceLine => "Ligne d'en-tête de son message du {date} :",
        Key::EvidenceServer => "Serveur : {server} [{address}], connu ici sous {id}",
        Key::ExemptUntil => {
            "L'exploitant de {node} a exempté ce serveur jusqu'au {date} ; d'ici là, aucun de ses messages n'est \
             retenu."
        }
        Key::FloorIntro => {
            "Le serveur de messagerie {server} envoie des messages à {node} et satisfait à ce qui est exigé \
             aujourd'hui. À partir du {date}, l'exigence augmente, et ce serveur n'y satisfera pas sans mise à \
             jour."
        }
        Key::FloorSubject => "{server} : une mise à jour plus récente est exigée à partir du {date}",
        Key::HeadEvidence => "Ce que nous avons vu",
        Key::HeadInstall => "Ce qu'il faut installer",
        Key::HeadLack => "Ce qui manque",
        Key::HeadNext => "Ce qui vient ensuite",
        Key::HeadNextReport => "Ce qui viendrait ensuite",
        Key::HeadPause => "Comment demander une pause",
        Key::HeadStage => "Où en est le serveur",
        Key::HeadTest => "Comment vérifier",
        Key::HeadWhy => "Pourquoi vous recevez ce message",
        Key::LackExploited => "Une vulnérabilité est ouverte dont l'exploitation est connue.",
        Key::LackFloor => "La version est plus ancienne que la plus ancienne acceptée.",
        Key::LackSecurity => "Une mise à jour de sécurité manque.",
        Key::LackSupport => {
            "Cette version n'est plus prise en charge et ne reçoit plus de mises à jour de sécurité."
        }
        Key::LackUpdate => "Une mise à jour manque.",
        Key::LackVersion => "Ce qui est exigé : niveau minimal {floor}, version {version}.",
        Key::LackVersionSince => {
            "Ce qui est exigé : niveau minimal {floor}, version {version}, en vigueur depuis le {date}."
        }
        Key::OwingIntro => {
            "Le serveur de messagerie {server} envoie des messages à {node}. Ce qu'il écrit lui-même dans ses \
             messages montre qu'il n'est pas à jour."
        }
        Key::OwingSubject => "{server} : ce serveur de messagerie n'est pas à jour",
        Key::PauseHow => {
            "Si la mise à jour demande plus de temps, écrivez à {contact} en indiquant le serveur {id} : \
             l'exploitant de {node} peut l'exempter pour un temps."
        }
        Key::PauseHowTenant => {
            "Si la mise à jour demande plus de temps, écrivez à {contact} en indiquant le serveur {id}. Votre \
             organisation dispose d'un maximum de 90 jours de pause par année civile, en une ou plusieurs fois ; \
             les jours déjà écoulés restent acquis."
        }
        Key::PausedOpen => {
            "Une pause est en vigueur jusqu'à nouvel ordre : aucun message n'est retenu et aucun jour ne compte."
        }
        Key::PausedUntil => {
            "Une pause est en vigueur jusqu'au {date} : aucun message n'est retenu et aucun jour ne compte."
        }
        Key::ReleasedIntro => {
            "Le serveur de messagerie {server} a montré le {date} qu'il satisfait à ce que {node} exige. Aucun de \
             ses messages n'est retenu."
        }
        Key::ReleasedSubject => "{server} : à jour",
        Key::ReleasedThanks => {
            "Il n'y a rien d'autre à faire. Si le serveur prend de nouveau du retard, la procédure reprend là où \
             elle s'était arrêtée."
        }
        Key::ReportOnly => {
            "Rien n'est encore retenu : {node} ne fait qu'observer. Voici ce qui se passerait s'il agissait."
        }
        Key::StageAheadIntro => {
            "Le serveur de messagerie {server} n'est toujours pas à jour. Le {date}, l'étape suivante commence \
             pour ses messages à {node} : {windows}."
        }
        Key::StageAheadSubject => "{server} : l'étape {stage} commence le {date}",
        Key::StageBegunIntro => {
            "Le serveur de messagerie {server} n'est toujours pas à jour. L'étape {stage} a commencé pour ses \
             messages à {node} : {windows}."
        }
        Key::StageBegunSubject => "{server} : l'étape {stage} a commencé",
        Key::StageNext => "{date} : étape {stage}, {windows}",
        Key::StageNow => "Étape {stage} sur {stages}, depuis le {date} : {windows}.",
        Key::TestHow => {
            "Après la mise à jour, envoyez un message quelconque de ce serveur à {node}. Chaque message est relu, \
             et le premier qui montre la mise à jour met fin à tout aussitôt."
        }
        Key::TestJudge => "Comment une version est jugée : portcullis judge {build}",
        Key::WhyConnector => {
            "Vous êtes désigné auprès de {node} comme contact pour les serveurs du connecteur {connector}, dont les règles s’appliquent à ce serveur."
        }
        Key::WhyOperator => "Vous êtes indiqué comme exploitant de {node}.",
        Key::WhyPostmaster => {
            "Vous êtes le postmaster de {domain} : le serveur se présente sous un nom de ce domaine, et ce nom \
             mène à son adresse."
        }
        Key::WhyTenant => {
            "Vous êtes indiqué auprès de {node} comme contact de {tenant}, à qui appartient ce serveur."
        }
        Key::WindowAll => "tous les messages sont refusés",
        Key::WindowBlock => "les messages sont refusés pendant {block} minutes de chaque heure",
        Key::WindowBoth => {
            "les messages sont différés pendant {throttle} minutes et refusés pendant {block} minutes de chaque \
             heure"
        }
        Key::WindowNone => "aucun message n'est retenu",
        Key::WindowThrottle => "les messages sont différés pendant {throttle} minutes de chaque heure",
    }
}
