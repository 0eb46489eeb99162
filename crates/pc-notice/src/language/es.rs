use super::Key;

pub(super) fn text(key: Key) -> &'static str {
    match key {
        Key::DigestIntro => "Hay novedades de {count} servidores de correo que envían a {node}:",
        Key::DigestMore => "... y {count} más.",
        Key::DigestSubject => "{node}: novedades de {count} servidores de correo",
        Key::EvidenceBuild => "Compilación: {build} ({product})",
        Key::EvidenceLine => "Línea de cabecera de su mensaje del {date}:",
        Key::EvidenceServer => "Servidor: {server} [{address}], conocido aquí como {id}",
        Key::ExemptUntil => {
            "El operador de {node} ha eximido a este servidor hasta el {date}; hasta entonces no se retiene \
             ninguno de sus mensajes."
        }
        Key::FloorIntro => {
            "El servidor de correo {server} envía mensajes a {node} y cumple lo que hoy se exige. A partir del \
             {date} se exigirá más, y este servidor no lo cumplirá si no se actualiza antes."
        }
        Key::FloorSubject => "{server}: a partir del {date} se exige una actualización más reciente",
        Key::HeadEvidence => "Qué hemos visto",
        Key::HeadInstall => "Qué hay que instalar",
        Key::HeadLack => "Qué falta",
        Key::HeadNext => "Qué viene después",
        Key::HeadNextReport => "Qué vendría después",
        Key::HeadPause => "Cómo pedir una pausa",
        Key::HeadStage => "En qué punto está",
        Key::HeadTest => "Cómo comprobarlo",
        Key::HeadWhy => "Por qué recibe este mensaje",
        Key::LackExploited => "Hay una vulnerabilidad abierta de la que se sabe que está siendo explotada.",
        Key::LackFloor => "La compilación es anterior a la más antigua que se acepta.",
        Key::LackSecurity => "Falta una actualización de seguridad.",
        Key::LackSupport => "Esta versión ya no tiene soporte y no recibe más actualizaciones de seguridad.",
        Key::LackUpdate => "Falta una actualización.",
        Key::LackVersion => "Lo que se exige: nivel mínimo {floor}, versión {version}.",
        Key::LackVersionSince => {
            "Lo que se exige: nivel mínimo {floor}, versión {version}, en vigor desde el {date}."
        }
        Key::OwingIntro => {
            "El servidor de correo {server} envía mensajes a {node}. Lo que él mismo escribe en sus mensajes \
             muestra que no está actualizado."
        }
        Key::OwingSubject => "{server}: este servidor de correo no está actualizado",
        Key::PauseHow => {
            "Si la actualización necesita más tiempo, escriba a {contact} e indique el servidor {id}: el operador \
             de {node} puede eximirlo por un tiempo."
        }
        Key::PauseHowTenant => {
            "Si la actualización necesita más tiempo, escriba a {contact} e indique el servidor {id}. Su \
             organización dispone de hasta 90 días de pausa por año natural, de una vez o en varias partes; los \
             días ya transcurridos se mantienen."
        }
        Key::PausedOpen => {
            "Hay una pausa en vigor hasta nuevo aviso: no se retiene ningún mensaje y no cuenta ningún día."
        }
        Key::PausedUntil => {
            "Hay una pausa en vigor hasta el {date}: no se retiene ningún mensaje y no cuenta ningún día."
        }
        Key::ReleasedIntro => {
            "El servidor de correo {server} mostró el {date} que cumple lo que {node} exige. No se retiene \
             ninguno de sus mensajes."
        }
        Key::ReleasedSubject => "{server}: actualizado",
        Key::ReleasedThanks => {
            "No hay nada más que hacer. Si el servidor vuelve a quedarse atrás, el proceso continúa donde se \
             interrumpió."
        }
        Key::ReportOnly => {
            "Todavía no se retiene nada: {node} solo observa. Lo que sigue es lo que ocurriría si actuara."
        }
        Key::StageAheadIntro => {
            "El servidor de correo {server} sigue sin estar actualizado. El {date} comienza la siguiente fase \
             para sus mensajes a {node}: {windows}."
        }
        Key::StageAheadSubject => "{server}: la fase {stage} comienza el {date}",
        Key::StageBegunIntro => {
            "El servidor de correo {server} sigue sin estar actualizado. Ha comenzado la fase {stage} para sus \
             mensajes a {node}: {windows}."
        }
        Key::StageBegunSubject => "{server}: ha comenzado la fase {stage}",
        Key::StageNext => "{date}: fase {stage}, {windows}",
        Key::StageNow => "Fase {stage} de {stages}, desde el {date}: {windows}.",
        Key::TestHow => {
            "Después de la actualización, envíe cualquier mensaje desde este servidor a {node}. Cada mensaje se \
             lee de nuevo, y el primero que muestre la actualización pone fin a todo de inmediato."
        }
        Key::TestJudge => "Cómo se juzga una compilación: portcullis judge {build}",
        Key::WhyConnector => {
            "Usted figura en {node} como contacto para los servidores del conector {connector}, cuyas reglas se aplican a este servidor."
        }
        Key::WhyOperator => "Usted figura como operador de {node}.",
        Key::WhyPostmaster => {
            "Usted es el postmaster de {domain}: el servidor se presenta con un nombre de este dominio, y ese \
             nombre lleva a su dirección."
        }
        Key::WhyTenant => {
            "Usted figura en {node} como contacto de {tenant}, a quien pertenece este servidor."
        }
        Key::WindowAll => "se rechazan todos los mensajes",
        Key::WindowBlock => "los mensajes se rechazan durante {block} minutos de cada hora",
        Key::WindowBoth => {
            "los mensajes se aplazan durante {throttle} minutos y se rechazan durante {block} minutos de cada \
             hora"
        }
        Key::WindowNone => "no se retiene ningún mensaje",
        Key::WindowThrottle => "los mensajes se aplazan durante {throttle} minutos de cada hora",
    }
}
