//! CAA and TLSA as the DNS publishes them, compared with the certificates in service.

use std::path::Path;
use std::process::{Command, Stdio};

use pc_testkit::DnsServer;
use serde_json::Value;

use crate::support::{Simulated, binary};

fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let command = command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("needs openssl: apt-get install openssl").success(), "{arguments:?}");
}

/// A certificate for `edge.example.org` that an authority with the name of a known one has signed, and the sections of a node with it.
fn sections(folder: &Path, dns: &DnsServer) -> String {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let ca = [
        "req",
        "-x509",
        "-days",
        "30",
        "-subj",
        "/O=Let's Encrypt/CN=Test",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ];
    openssl(folder, &[&ca[..], &key].concat());
    openssl(
        folder,
        &[&["req", "-subj", "/CN=edge", "-keyout", "leaf.key", "-out", "leaf.csr"][..], &key].concat(),
    );
    std::fs::write(folder.join("names"), "subjectAltName=DNS:edge.example.org\n").unwrap();
    openssl(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "20",
            "-extfile",
            "names",
            "-out",
            "leaf.pem",
        ],
    );
    let chain = ["leaf.pem", "ca.pem"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    std::fs::write(folder.join("chain.pem"), chain.concat()).unwrap();
    format!(
        "[tls]\ncertificates = [{{ chain = \"{0}/chain.pem\", key = \"{0}/leaf.key\" }}]\n[[upstream]]\nname = \"m\"\ndomains = \
         [\"*\"]\nmaildir = \"{0}/maildir\"\n[dns]\nservers = [\"{1}\"]\n",
        folder.display(),
        dns.address
    )
}

fn line<'a>(lines: &'a Value, check: &str) -> (&'a str, &'a str) {
    let found = lines.as_array().unwrap().iter().find(|line| line["check"] == check);
    let found = found.unwrap_or_else(|| panic!("{check}: {lines:#}"));
    (found["finding"].as_str().unwrap(), found["text"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caa_and_tlsa_of_the_dns_are_compared_with_what_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let dns = DnsServer::start("edge.example.org A 127.0.0.1\n").await.unwrap();
    let node = Simulated::start("2026-11-26T12:00:00Z", &sections(folder.path(), &dns)).await;
    let records = node.json(&["tls", "records"]);
    let wanted = records.as_array().unwrap().iter().find(|record| record["type"] == "TLSA").unwrap();
    let wanted = wanted["data"].as_str().unwrap().to_owned();
    let smtp = node.smtp().to_string();
    let check = || {
        let arguments = ["tls", "check", &smtp, "--starttls", "smtp", "--server-name", "edge.example.org"];
        let answer = node.json(&arguments);
        let items = answer["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["practice"] == "CAA lets the issuer issue").unwrap()
    };

    let nothing = node.json(&["doctor"]);
    let missing = "publish edge.example.org. IN CAA 0 issue \"letsencrypt.org\"";
    assert!(line(&nothing, "CAA").1.ends_with(missing), "{nothing:#}");
    assert_eq!(line(&nothing, "TLSA"), ("good", "_25._tcp.edge.example.org has no TLSA record"));
    assert_eq!(check()["finding"], "fail");

    // At the parent, through an alias.
    dns.publish(&format!(
        "example.org CNAME policy.example.net\npolicy.example.net CAA 0 issue letsencrypt.org\n_25._tcp.edge.example.org TLSA \
         {wanted}\n"
    ));
    let right = node.json(&["doctor"]);
    let (finding, text) = line(&right, "CAA");
    assert!(finding == "good" && text.contains("the issuer is allowed; records at example.org"), "{right:#}");
    assert_eq!(line(&right, "TLSA").0, "good", "{right:#}");
    assert_eq!(check()["finding"], "pass");
    let told = node.json(&["tls", "records"]).to_string();
    assert!(told.contains("fits what is served: 1 record"), "{told}");

    dns.publish(&format!(
        "edge.example.org CAA 0 issue digicert.com\n_25._tcp.edge.example.org TLSA 3 1 1 {}\n",
        "ab".repeat(32)
    ));
    let wrong = node.json(&["doctor"]);
    assert!(line(&wrong, "CAA").1.contains("so that the next renewal fails"), "{wrong:#}");
    let (finding, text) = line(&wrong, "TLSA");
    assert!(finding == "warn" && text.contains("fits 0 of 1 certificates"), "{wrong:#}");
    for part in ["publish the record of what is served (portcullis tls records prints", "wait for two TTLs"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(check()["finding"], "fail");

    dns.publish("edge.example.org SERVFAIL -\n_25._tcp.edge.example.org SERVFAIL -\n");
    let unknown = node.json(&["doctor"]);
    for kind in ["CAA", "TLSA"] {
        let (finding, text) = line(&unknown, kind);
        assert!(finding == "warn" && text.contains("the DNS gave no answer"), "{kind}: {unknown:#}");
    }
    assert_eq!(check()["finding"], "not tested", "no answer is not absence");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_certificate_is_by_acme_alone_a_record_that_outlives_its_renewal_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let dns = DnsServer::start("edge.example.org A 127.0.0.1\n").await.unwrap();
    let text = sections(at, &dns);
    let (_, rest) = text.split_once("[[upstream]]").unwrap();
    let acme = "[tls.acme]\ndirectory = \"https://ca.example.org/\"\nterms_agreed = true\nnames = [\"edge.example.org\"]\n";
    let node = format!(
        "[node]\nname = \"edge.example.org\"\ndata = \"{}/data\"\n[[smtp.listener]]\naddress = \"127.0.0.1:0\"\ntls = \
         \"starttls\"\n[[https.redirect]]\naddress = \"127.0.0.1:0\"\n{acme}[[upstream]]{rest}",
        at.display()
    );
    std::fs::write(at.join("portcullis.toml"), node).unwrap();
    std::fs::create_dir_all(at.join("data/acme")).unwrap();
    let issued = ["leaf.key", "chain.pem"].map(|name| std::fs::read_to_string(at.join(name)).unwrap());
    std::fs::write(at.join("data/acme/certificate.pem"), issued.concat()).unwrap();
    let json = |arguments: &[&str]| -> Value {
        let mut command = Command::new(binary());
        let command = command.args(arguments).arg("--json").arg("--config").arg(at.join("portcullis.toml"));
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let records = json(&["tls", "records"]);
    let of_tlsa = records.as_array().unwrap().iter().filter(|record| record["type"] == "TLSA");
    let data: Vec<&str> = of_tlsa.map(|record| record["data"].as_str().unwrap()).collect();
    let [data] = data.as_slice() else { panic!("{records:#}") };
    assert!(data.starts_with("2 1 1 "), "{records:#}");
    let told = "another key after each renewal, which breaks records of the form 3 1 1";
    assert!(records.to_string().contains(told), "{records:#}");

    let doctor = json(&["doctor"]);
    assert!(line(&doctor, "CAA").1.contains("letsencrypt.org"), "{doctor:#}");
    assert_eq!(line(&doctor, "TLSA"), ("good", "_25._tcp.edge.example.org has no TLSA record"));
    assert!(doctor.to_string().contains(told), "{doctor:#}");
    dns.publish(&format!("_25._tcp.edge.example.org TLSA {data}\n"));
    let doctor = json(&["doctor"]);
    assert_eq!(line(&doctor, "TLSA"), ("good", "_25._tcp.edge.example.org fits what is served: 1 record"));
}
